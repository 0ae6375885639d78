"""A quiz, read from YAML and validated: the week's, and each chapter's knowledge check.

Contract: `load()` returns a `Quiz` whose every question can be asked and answered: a multiple-choice question has two
to six options, exactly one of them correct, and an explanation for each; an open question has a model answer and a
rubric. Anything else in the file is a `CourseError` with its line. Texts are plain, with `code` in backticks.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import CourseError
from autograder.paths import QUIZZES
from autograder.yaml_file import Entry, read

WEEK = QUIZZES / "week_11.yaml"
"""The quiz over the whole week."""

LETTERS = "abcdef"
"""What the options of a question are called, in order."""


@dataclass(frozen=True)
class Option:
    """One answer to choose, and what is said to whoever chooses it."""

    text: str
    correct: bool
    explanation: str


@dataclass(frozen=True)
class Question:
    """A question: multiple choice when it has options, open when it has an answer and a rubric."""

    id: str
    topic: str
    chapter: str | None
    text: str
    options: tuple[Option, ...] = ()
    answer: str = ""
    rubric: tuple[str, ...] = ()

    @property
    def lettered(self) -> dict[str, Option]:
        """The options by their letters; empty for an open question."""
        return dict(zip(LETTERS, self.options, strict=False))

    @property
    def correct(self) -> str:
        """The letter of the correct option; empty for an open question."""
        return next((letter for letter, option in self.lettered.items() if option.correct), "")


@dataclass(frozen=True)
class Quiz:
    """A quiz's questions, in the order in which they are asked."""

    title: str
    questions: tuple[Question, ...]


def quiz_file(chapter: str | None = None) -> Path:
    """Return the file of the week's quiz, or of a chapter's knowledge check.

    Parameters
    ----------
    chapter
        A chapter's two digits, such as "05".

    Raises
    ------
    CourseError
        When that chapter has no quiz.
    """
    path = QUIZZES / f"chapter_{chapter}.yaml" if chapter else WEEK
    if not path.is_file():
        there = [one.stem.removeprefix("chapter_") for one in sorted(QUIZZES.glob("chapter_*.yaml"))]
        raise CourseError(
            f"There is no quiz for chapter {chapter}." if chapter else "The week's quiz is not there.",
            where=str(path),
            todo=f"Name one of these chapters, or none for the whole week: {', '.join(there) or 'none has one'}.",
        )
    return path


def load(path: Path) -> Quiz:
    """Read and validate a quiz.

    Raises
    ------
    CourseError
        When the file cannot be read, or a key or value in it is wrong.
    """
    entry = read(path)
    entry.only("title", "questions")
    questions: list[Question] = []
    for one in entry.entries("questions"):
        question = _question(one)
        if question.id in {other.id for other in questions}:
            raise one.error("id", f"{question.id!r} is there twice")
        questions.append(question)
    return Quiz(entry.text("title"), tuple(questions))


def _question(entry: Entry) -> Question:
    name = entry.text("id")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise entry.error("id", f"{name!r} is not lower-case words joined by hyphens")
    chapter = entry.text("chapter") if "chapter" in entry else None
    if chapter and not re.fullmatch(r"\d\d", chapter):
        raise entry.error("chapter", f"{chapter!r} is not a chapter's two digits")
    common = (name, entry.text("topic"), chapter, entry.text("question"))
    if "options" in entry:
        entry.only("id", "topic", "chapter", "question", "options")
        return Question(*common, options=_options(entry))
    entry.only("id", "topic", "chapter", "question", "answer", "rubric")
    return Question(*common, answer=entry.text("answer"), rubric=entry.texts("rubric"))


def _options(entry: Entry) -> tuple[Option, ...]:
    entries = entry.entries("options")
    if not 2 <= len(entries) <= len(LETTERS):
        raise entry.error("options", f"there are {len(entries)} options; there should be 2 to {len(LETTERS)}")
    for one in entries:
        one.only("text", "correct", "explanation")
    options = tuple(Option(one.text("text"), one.flag("correct"), one.text("explanation")) for one in entries)
    if (correct := sum(option.correct for option in options)) != 1:
        raise entry.error("options", f"{correct} options are correct; there should be exactly one")
    return options
