"""The chapters' exercises: their texts in exercises/ID.yaml, their checkers in a module for each chapter.

Contract: `load(chapter)` reads a chapter's exercises; `checker(id)` returns the function that checks one. A checker
takes what the notebook hands to `exercise(id, …)`, looks at what is really there (Airflow's records, the warehouse,
files, what a function returns), and asserts; each assert's message says what was seen and what to do next. It may
return a sentence for the student who has passed.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.manifest import HINTS
from autograder.paths import EXERCISES
from autograder.yaml_file import Entry, read

Checker = Callable[..., str | None]

_checkers: dict[str, Checker] = {}


@dataclass(frozen=True)
class Exercise:
    """An exercise: its hints, from a question to nearly the answer, and the cells of a solution."""

    id: str
    title: str
    hints: tuple[str, ...]
    solution: tuple[str, ...]


def checks(exercise_id: str) -> Callable[[Checker], Checker]:
    """Register the function below as an exercise's checker."""

    def register(function: Checker) -> Checker:
        _checkers[exercise_id] = function
        return function

    return register


def checker(exercise_id: str) -> Checker:
    """Return an exercise's checker.

    Raises
    ------
    CourseError
        When there is none.
    """
    chapter = chapter_of(exercise_id)
    module = f"autograder.exercises.{f'chapter_{chapter}' if chapter.isdigit() else chapter}"
    try:
        importlib.import_module(module)
        return _checkers[exercise_id]
    except (ModuleNotFoundError, KeyError) as error:
        raise CourseError(f"Exercise {exercise_id} has no checker.", where=module) from error


def exercise_of(exercise_id: str) -> Exercise:
    """Return an exercise by its id, such as `04.2`.

    Raises
    ------
    CourseError
        When there is no such exercise.
    """
    there = load(chapter_of(exercise_id))
    for one in there:
        if one.id == exercise_id:
            return one
    raise CourseError(
        f"There is no exercise {exercise_id!r}.", todo=f"Use one of: {', '.join(one.id for one in there)}.", exit_code=1
    )


def chapter_of(exercise_id: str) -> str:
    """Return the chapter's id in an exercise's."""
    return exercise_id.partition(".")[0]


def load(chapter: str, folder: Path = EXERCISES) -> tuple[Exercise, ...]:
    """Read a chapter's exercises.

    Raises
    ------
    CourseError
        When the chapter has none, or a key or value in its file is wrong.
    """
    if not (path := folder / f"{chapter}.yaml").is_file():
        there = ", ".join(one.stem for one in sorted(folder.glob("*.yaml")))
        raise CourseError(
            f"There are no exercises of chapter {chapter!r}.",
            where=str(path),
            todo=f"Chapters that have some: {there}.",
        )
    entry = read(path)
    entry.only("exercises")
    found: list[Exercise] = []
    for one in entry.entries("exercises"):
        exercise = _exercise(one, chapter)
        if exercise.id in {other.id for other in found}:
            raise one.error("id", f"{exercise.id!r} is there twice")
        found.append(exercise)
    return tuple(found)


def _exercise(entry: Entry, chapter: str) -> Exercise:
    entry.only("id", "title", "hints", "solution")
    name = entry.text("id")
    if not re.fullmatch(rf"{chapter}\.\d+", name):
        raise entry.error("id", f'{name!r} is not "{chapter}.", and a number')
    hints = entry.texts("hints")
    if len(hints) != HINTS:
        raise entry.error("hints", f"{name} has {len(hints)} hints; every exercise has {HINTS}")
    return Exercise(name, entry.text("title"), hints, tuple(one.strip("\n") for one in entry.texts("solution")))


def as_given(value: Any, kind: type, what: str) -> Any:
    """Return a student's value when it is of the kind that is asked for.

    Raises
    ------
    AssertionError
        When it is not, `...` and None included, which stand where nothing is written yet.
    """
    written = value is not None and value is not ...
    assert written, f"{what} is not there yet: write it in the cell above, and run that cell."
    fits = isinstance(value, Integral if kind is int else kind)  # a count by pandas is an integer, and no int
    article = "an" if kind is int else "a"
    assert fits, f"{what} should be {article} {kind.__name__}, and is a {type(value).__name__}: {value!r}."
    return value
