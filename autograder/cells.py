"""What a notebook's grade cells call: `check("minimum.dag-loads")`.

Contract: the folder that the notebook runs in is the student's project. `check()` has it run in processes of
their own, once for as long as the files stay the same, prints this check's feedback, and raises a short
`NotPassedError` unless the check passed. It returns nothing and writes nothing to stderr: nbgrader reads a
returned value as the grade, and gives no points for a cell that wrote to stderr. Importing it is quick.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autograder.checks.feedback import NOTEBOOK, OUTCOMES, render, render_hint
from autograder.checks.verdict import Verdict
from autograder.errors import CourseError
from autograder.manifest import Check, Course, load
from autograder.observe.client import evidence_for
from autograder.observe.project import content_digest

Observe = Callable[[Path, str], dict[str, Any]]
Judge = Callable[[dict[str, Any]], Sequence[Verdict]]


class NotPassedError(AssertionError):
    """A check gives no points; the cell's output above it says why."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback, which would be through our code only."""
        return [str(self)]


class Checks:
    """Checks of the project in a folder.

    Parameters
    ----------
    observe
        Gives the evidence for a project folder and a student.
    judge
        Gives the verdicts on the evidence.
    course
        The manifest that the checks stand in.
    """

    def __init__(self, observe: Observe, judge: Judge, course: Course) -> None:
        self._observe, self._judge, self._course = observe, judge, course
        self._known: dict[str, dict[str, Verdict] | CourseError] = {}
        self._told_failure: set[tuple[str, str]] = set()

    def check(self, check_id: str) -> None:
        """Print a check's feedback.

        Raises
        ------
        NotPassedError
            Unless the check passed.
        """
        check = self._course.check(check_id)
        verdict = self._verdict(check)
        print(render(verdict, check, NOTEBOOK))
        if verdict.verdict != "pass":
            raise NotPassedError(f"{OUTCOMES[verdict.verdict]}: {check.id}. What to do is told above.")

    def hint(self, check_id: str, number: int = 1) -> None:
        """Print one of a check's hints."""
        print(render_hint(self._course.check(check_id), number, NOTEBOOK))

    def _verdict(self, check: Check) -> Verdict:
        verdicts = self._verdicts(check)
        if isinstance(verdicts, CourseError):
            return _could_not_check(check, str(verdicts))
        if check.id not in verdicts:
            return _could_not_check(check, "The checker gave no verdict on this check.")
        return verdicts[check.id]

    def _verdicts(self, check: Check) -> dict[str, Verdict] | CourseError:
        project, student = Path.cwd(), student_name()
        content = f"{student} {content_digest(project)}"
        # A failure of ours is not tried again for the next check's cell, which would take as long and fail
        # alike, but for the second run of the same cell.
        if isinstance(self._known.get(content), CourseError) and (content, check.id) in self._told_failure:
            del self._known[content]
        if content not in self._known:
            print("Running your pipeline on an Airflow of its own. The first time takes minutes.", flush=True)
            try:
                self._known[content] = {one.id: one for one in self._judge(self._observe(project, student))}
            except CourseError as error:
                self._known[content] = error
            except Exception as error:  # a mistake in our rules must not look like one of the student's
                self._known[content] = CourseError(f"The checker broke: {type(error).__name__}: {error}.")
        known = self._known[content]
        if isinstance(known, CourseError):
            self._told_failure.add((content, check.id))
        return known


def student_name() -> str:
    """Return whose project this is: the folder's owner while nbgrader grades, AIRFLOW_STUDENT otherwise."""
    if os.environ.get("NBGRADER_EXECUTION") == "autograde":
        return Path.cwd().parent.name  # autograded/<student>/<assignment>
    return os.environ.get("AIRFLOW_STUDENT") or "default"


def _could_not_check(check: Check, message: str) -> Verdict:
    return Verdict(check.id, check.points, 0, "could_not_check", "", "", None, message)


def _judge_now(evidence: dict[str, Any]) -> Sequence[Verdict]:
    from autograder.checks import judge  # here, because importing this module is to be quick

    verdicts: Sequence[Verdict] = judge(evidence)
    return verdicts


_checks = Checks(evidence_for, _judge_now, load())
check = _checks.check
hint = _checks.hint
