"""A chapter's knowledge check, and the week's quiz: questions to open with a key or a mouse, or to answer by typing.

Contract: `quiz` shows the questions of quiz/chapter_ID.yaml, or of the week, without a script; each option is opened to
see whether it is right, and why. `answer` says the same for a typed letter, as text.
"""

import re

from autograder.errors import CourseError
from autograder.quiz import Question, load, quiz_file
from autograder.quiz_page import RIGHT, WRONG, html_question
from autograder.teaching.shown import Shown

WEEK = "week"
"""What stands in place of a chapter for the quiz over the week."""


def quiz(chapter: str) -> Shown:
    """Show a chapter's questions, or those of the week.

    Raises
    ------
    CourseError
        When the chapter has none.
    """
    questions = _questions(chapter)
    how = f'Open an option to see whether it is right, or type your answer: answer("{chapter}.q1", "b")'
    html = "".join(
        f"<section><h4>Question {number}</h4>{html_question(one)}</section>" for number, one in enumerate(questions, 1)
    )
    text = "\n\n".join(_text(chapter, number, one) for number, one in enumerate(questions, 1))
    return Shown(f"<p>{how.replace('<', '&lt;')}</p>{html}", f"{how}\n\n{text}")


def answer(question: str, letter: str = "") -> None:
    """Say whether an answer is right, and why; of an open question, show what a full answer says.

    Parameters
    ----------
    question
        Such as `04.q1`, the first question of chapter 04, or `week.q1`.
    letter
        The option.

    Raises
    ------
    CourseError
        When there is no such question or option.
    """
    match = re.fullmatch(r"(\w+)\.q(\d+)", question)
    questions = _questions(match[1]) if match else ()
    number = int(match[2]) if match else 0
    if not 1 <= number <= len(questions):
        raise CourseError(f"There is no question {question!r}.", todo='Write it as in "04.q1".', exit_code=1)
    asked = questions[number - 1]
    if not asked.options:
        print(asked.answer, "\nA full answer says:", *(f"- {fact}" for fact in asked.rubric), sep="\n")
        return
    option = asked.lettered.get(letter.strip().lower())
    if option is None:
        raise CourseError(
            f"There is no option {letter!r}.", todo=f"Use one of: {', '.join(asked.lettered)}.", exit_code=1
        )
    print(f"{RIGHT if option.correct else WRONG} {option.explanation}")


def _questions(chapter: str) -> tuple[Question, ...]:
    return load(quiz_file(None if chapter == WEEK else chapter)).questions


def _text(chapter: str, number: int, question: Question) -> str:
    options = [f"  {letter}. {option.text}" for letter, option in question.lettered.items()]
    return "\n".join([f"{chapter}.q{number}  {question.text}", *options])
