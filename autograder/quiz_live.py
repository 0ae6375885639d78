"""A quiz in the terminal: for one person who answers, or for a class that looks on.

Contract: questions go to stdout, one at a time; answers are read by a function that the caller gives, and the end of
input (Ctrl-D) ends the quiz without an error. Nothing of an answer is shown before it is asked for.
"""

import textwrap
from collections.abc import Callable

from autograder.console import out
from autograder.quiz import Question, Quiz

WIDTH = 80
"""Columns of a line."""

Ask = Callable[[str], str]
"""Shows a prompt and returns the line that was typed; raises EOFError when there is none to come."""


def take(quiz: Quiz, ask: Ask) -> tuple[int, int]:
    """Ask one person every question, and explain after each answer.

    Parameters
    ----------
    quiz
        What to ask.
    ask
        How to read an answer, such as `input`.

    Returns
    -------
    tuple of int
        The multiple-choice questions that were answered correctly, and how many were answered.
    """
    right = answered = 0
    _say(quiz.title)
    try:
        for number, question in enumerate(quiz.questions, 1):
            _put(number, question, quiz)
            if question.options:
                letter = _choice(question, ask)
                answered += 1
                right += letter == question.correct
                if letter != question.correct:
                    _say(f"✗ Not {letter}. {question.lettered[letter].explanation}")
                _say(f"✓ {question.correct}. {question.lettered[question.correct].explanation}")
            else:
                ask("Your answer, then Enter: ")
                _model(question)
    except EOFError:
        out.print()
    _say(f"{right} of {answered} multiple-choice answers were right.")
    return right, answered


def show(quiz: Quiz, ask: Ask) -> None:
    """Show a class one question at a time: the question, then on Enter what is right, and why each option is or isn't.

    Parameters
    ----------
    quiz
        What to ask.
    ask
        How to wait for Enter, such as `input`.
    """
    _say(quiz.title)
    try:
        for number, question in enumerate(quiz.questions, 1):
            _put(number, question, quiz)
            ask("Enter shows the answer. ")
            for letter, option in question.lettered.items():
                _say(f"{'✓ Right:' if option.correct else '✗ Wrong:'} {letter}. {option.explanation}")
            if not question.options:
                _model(question)
            if number < len(quiz.questions):
                ask("Enter shows the next question. ")
    except EOFError:
        out.print()


def _put(number: int, question: Question, quiz: Quiz) -> None:
    _say(f"\nQuestion {number} of {len(quiz.questions)} · {question.topic}\n\n{question.text}\n")
    for letter, option in question.lettered.items():
        _say(f"{letter}. {option.text}", "  ")
    out.print()


def _choice(question: Question, ask: Ask) -> str:
    letters = ", ".join(question.lettered)
    while (typed := ask(f"Your answer ({letters}): ").strip().lower()) not in question.lettered:
        _say(f"Type one of {letters}.")
    return typed


def _model(question: Question) -> None:
    _say(f"A model answer: {question.answer}\n\nA full answer says:")
    for fact in question.rubric:
        _say(f"- {fact}", "  ")


def _say(text: str, indent: str = "") -> None:
    """Print a text in lines of a readable width, its own line breaks kept."""
    for line in text.strip(" ").split("\n"):
        wrapped = textwrap.fill(
            line,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        out.print(wrapped, markup=False, soft_wrap=True)
