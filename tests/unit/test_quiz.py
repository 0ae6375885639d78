"""Is a quiz read whole, are mistakes in it named, and does a reader get an answer only by asking for it?"""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder import quiz_live
from autograder.errors import CourseError
from autograder.paths import QUIZZES
from autograder.quiz import WEEK, Quiz, load, quiz_file
from autograder.quiz_page import html_page, html_question

GOOD = """\
title: A quiz
questions:
  - id: pick-one
    topic: picking
    chapter: "05"
    question: Which is `<b>`?
    options:
      - {text: the first, explanation: Because it is not.}
      - {text: the second & last, explanation: It is `b`., correct: true}
  - id: say-it
    topic: saying
    question: Say it.
    answer: It.
    rubric: [says it, says no more]
"""

ALL = sorted(QUIZZES.glob("*.yaml"))


def read(tmp_path: Path, text: str = GOOD) -> Quiz:
    path = tmp_path / "quiz.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def typed(*lines: str) -> quiz_live.Ask:
    rest: Iterator[str] = iter(lines)

    def ask(_: str) -> str:
        for line in rest:
            return line
        raise EOFError

    return ask


# --- reading ---


def test_every_part_of_a_quiz_is_read(tmp_path: Path) -> None:
    quiz = read(tmp_path)
    pick, say = quiz.questions
    assert (quiz.title, pick.id, pick.topic, pick.chapter, pick.text) == (
        "A quiz",
        "pick-one",
        "picking",
        "05",
        "Which is `<b>`?",
    )
    assert (list(pick.lettered), pick.correct) == (["a", "b"], "b")
    assert (say.chapter, say.options, say.correct, say.answer) == (None, (), "", "It.")
    assert say.rubric == ("says it", "says no more")


@pytest.mark.parametrize(
    ("good", "bad", "line", "what"),
    [
        ("id: say-it", "id: pick-one", 10, "'pick-one' is there twice"),
        ("id: say-it", "id: Say_it", 10, "is not lower-case words"),
        ('chapter: "05"', "chapter: 05", 5, "chapter should be a text"),
        ('chapter: "05"', 'chapter: "5"', 5, "not a chapter's two digits"),
        (", correct: true", "", 8, "0 options are correct"),
        (", correct: true", ", correct: perhaps", 9, "correct should be true or false"),
        ("explanation: Because it is not.", "correct: true, explanation: So.", 8, "2 options are correct"),
        ("explanation: Because it is not.", "correct: false", 8, "the key 'explanation' is missing"),
        ("explanation: Because it is not.", "why: So.", 8, "unknown key 'why'"),
        ("      - {text: the first, explanation: Because it is not.}\n", "", 8, "there are 1 options"),
        ("    rubric: [says it, says no more]\n", "", 10, "the key 'rubric' is missing"),
        ("    topic: saying\n", "    topic: saying\n    answers: [x]\n", 12, "unknown key 'answers'"),
        (
            "    answer: It.\n",
            "    answer: It.\n    options:\n      - {text: a, explanation: b, correct: true}\n",
            13,
            "unknown key 'answer'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, good: str, bad: str, line: int, what: str) -> None:
    assert GOOD.count(good) == 1
    with pytest.raises(CourseError, match=rf"line {line}: .*{what}"):
        read(tmp_path, GOOD.replace(good, bad))


def test_a_chapter_without_a_quiz_is_named() -> None:
    with pytest.raises(CourseError, match="There is no quiz for chapter 77") as caught:
        quiz_file("77")
    assert caught.value.todo


# --- the course's own ---


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_courses_quizzes_can_be_asked(path: Path) -> None:
    quiz = load(path)
    for question in quiz.questions:
        texts = [option.text for option in question.options]
        assert len(set(texts)) == len(texts), f"{question.id} has an option twice"
        for text in (question.text, question.answer, *question.rubric, *texts):
            assert text.count("`") % 2 == 0, f"a backtick is missing in {question.id}: {text}"


def test_the_weeks_quiz_covers_the_week() -> None:
    questions = load(WEEK).questions
    assert len(questions) >= 9
    assert sum(not question.options for question in questions) >= 2
    topics = " ".join(question.topic for question in questions)
    for topic in ("orchestration", "logical date", "idempotency", "retries", "debugging", "backfill", "catchup"):
        assert topic in topics


def test_the_correct_options_of_the_week_are_not_all_in_one_place() -> None:
    letters = [question.correct for question in load(WEEK).questions if question.options]
    assert all(letters.count(letter) <= len(letters) // 2 for letter in set(letters))


# --- as HTML ---


class Outline(HTMLParser):
    """The tags of a page, and the text that is seen while every <details> is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: list[str] = []
        self.seen = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag, f"<{tag}> is closed in the wrong place"

    def handle_data(self, data: str) -> None:
        if "details" not in self.opened or "summary" in self.opened:
            self.seen += data


def test_an_option_is_opened_to_see_whether_it_is_right(tmp_path: Path) -> None:
    pick, say = read(tmp_path).questions
    fragment = html_question(pick)
    assert "<code>&lt;b&gt;</code>" in fragment, "code is escaped and marked"
    assert "a. the first" in Outline(fragment).seen
    assert "Because it is not" not in Outline(fragment).seen
    assert fragment.count("✓ Right.") == fragment.count("✗ Not this one.") == 1
    assert "says no more" in html_question(say)
    assert "says no more" not in Outline(html_question(say)).seen


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_page_is_well_formed_and_loads_nothing(path: Path) -> None:
    page = html_page(load(path))
    outline = Outline(page)
    assert outline.opened == [], "every tag is closed"
    assert not {"script", "img", "link", "iframe"} & set(outline.tags)
    assert outline.tags.count("h1") == 1
    assert outline.tags.count("h2") == len(load(path).questions)


# --- in the terminal ---


def test_a_quiz_is_taken_and_each_answer_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quiz_live.take(read(tmp_path), typed("z", " A ", "my answer")) == (0, 1)
    text = capsys.readouterr().out
    assert "Type one of a, b." in text
    assert text.index("✗ Not a. Because it is not.") < text.index("✓ b. It is `b`.")
    assert "- says no more" in text
    assert "0 of 1 multiple-choice answers were right." in text


def test_a_right_answer_is_told_as_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quiz_live.take(read(tmp_path), typed("b", "")) == (1, 1)
    assert "✗" not in capsys.readouterr().out


def test_no_answer_is_shown_before_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quiz_live.take(read(tmp_path), typed()) == (0, 0)
    quiz_live.show(read(tmp_path), typed())
    text = capsys.readouterr().out
    assert "the first" in text
    assert "Because it is not" not in text
    assert "It is" not in text


def test_a_class_is_shown_why_each_option_is_right_or_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiz_live.show(read(tmp_path), typed("", "", ""))
    text = capsys.readouterr().out
    for line in ("✗ Wrong: a. Because it is not.", "✓ Right: b. It is `b`.", "A model answer: It.", "Question 2 of 2"):
        assert line in text
