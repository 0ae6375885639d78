"""Exercises in a notebook: an instant check, hints in three steps, and a solution once the check has passed.

Contract: `exercise` prints what it found and never stops the notebook, whatever the student's code does. Each result
is added as a line to the file that COURSE_EXERCISES names (`.course/exercises.jsonl` otherwise): that file says who
may see a solution, and tells a headless run how each exercise went.
"""

import json
import os
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.exercises import Checker, checker, exercise_of
from autograder.paths import STATE

PASSED, NOT_YET, COULD_NOT_CHECK = "passed", "not yet", "could not check"


def exercise(exercise_id: str, *answers: Any) -> None:  # noqa: ANN401  whatever the exercise asks for
    """Check an exercise, and say how far it is.

    Parameters
    ----------
    exercise_id
        Such as `04.2`.
    answers
        What the exercise asks to hand over: a value, a function, or nothing.
    """
    title = exercise_of(exercise_id).title
    outcome, said = outcome_of(checker(exercise_id), answers)
    with record().open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"id": exercise_id, "outcome": outcome, "said": said}) + "\n")
    sign = {PASSED: "✔ Passed", NOT_YET: "✘ Not yet", COULD_NOT_CHECK: "? Could not check"}[outcome]
    print(f"{sign}: exercise {exercise_id}, {title}\n{said}".rstrip())
    if outcome == PASSED:
        print(f'Compare with ours: solution("{exercise_id}")')
    else:
        print(f'Stuck? hint("{exercise_id}"), then hint("{exercise_id}", 2) and hint("{exercise_id}", 3)')


def outcome_of(check: Checker, answers: tuple[Any, ...]) -> tuple[str, str]:
    """Return how a check went, and what it says."""
    try:
        return PASSED, check(*answers) or ""
    except AssertionError as error:
        return NOT_YET, str(error)
    except CourseError as error:
        # What Airflow does not have yet is for the student to make; that it does not answer is not.
        return (NOT_YET if error.exit_code == 1 else COULD_NOT_CHECK), str(error)
    except Exception as error:  # the student's function may raise anything
        return NOT_YET, f"It raised {type(error).__name__}: {error}"


def hint(exercise_id: str, number: int = 1) -> None:
    """Show one of an exercise's three hints.

    Raises
    ------
    CourseError
        When there is no such exercise or hint.
    """
    hints = exercise_of(exercise_id).hints
    if not 1 <= number <= len(hints):
        raise CourseError(f"There is no hint {number}.", todo=f"Ask for hint 1 to {len(hints)}.", exit_code=1)
    print(f"Hint {number} of {len(hints)}: {hints[number - 1].strip()}")
    if number < len(hints):
        print(f'The next one: hint("{exercise_id}", {number + 1})')


def solution(exercise_id: str) -> None:
    """Show a solution, once the exercise has passed.

    Raises
    ------
    CourseError
        When there is no such exercise.
    """
    one = exercise_of(exercise_id)
    if not any(line["id"] == exercise_id and line["outcome"] == PASSED for line in results()):
        print(f'The solution is shown once your own passes. Stuck? hint("{exercise_id}")')
        return
    print(f"One way to do it ({one.title}):\n")
    print("\n\n".join(one.solution))


def record() -> Path:
    """Return the file with the results, whose folder is there."""
    path = Path(os.environ.get("COURSE_EXERCISES") or STATE / "exercises.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def results() -> list[dict[str, str]]:
    """Return the results so far, oldest first."""
    lines = record().read_text(encoding="utf-8").splitlines() if record().exists() else []
    return [json.loads(line) for line in lines]
