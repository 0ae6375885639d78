"""What a notebook's grade cells call: `check("minimum.dag-loads")`.

Contract: the folder that the notebook runs in is the student's project. `check()` has it run in processes of
their own, once for as long as the files stay the same, prints this check's feedback, and raises a short
`NotPassedError` unless the check passed. Without a check's id it shows all in a table. While nbgrader grades, all
checks are judged; before, in JupyterLab or by `nbgrader validate`, only the visible ones: another one's cell says
that it is checked at grading, and neither passes nor fails. It returns nothing and writes nothing to stderr: nbgrader
reads a returned value as the grade, and gives no points for a cell that wrote to stderr. Importing it is quick.
"""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autograder.checks.feedback import NOTEBOOK, OUTCOMES, render, render_hidden, render_hint
from autograder.checks.verdict import Verdict
from autograder.errors import CourseError
from autograder.manifest import Check, Course, load
from autograder.observe.client import Extent, evidence_for
from autograder.observe.project import content_digest, written_files
from autograder.paths import DESK

Observe = Callable[[Path, str, Extent], dict[str, Any]]
Judge = Callable[[dict[str, Any]], Sequence[Verdict]]

READ = ("minimum.dag-loads", "minimum.schedule", "minimum.task-order")
"""The checks that need no run: reading the DAG file answers them at once."""

NO_NAME = (
    'AIRFLOW_STUDENT is not set, so your name is "default" here, and your schema airflow_default, as everybody\'s who '
    "has not set it. Begin with it: AIRFLOW_STUDENT=ada ./course lab, and the same with ./course check."
)


class NotPassedError(AssertionError):
    """A check gives no points; the cell's output above it says why."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback, which would be through our code only."""
        return [str(self)]


class CouldNotCheckError(NotPassedError):
    """The checker failed, not the student: nbgrader's gradebook marks the cell for a grade by hand."""


class Checks:
    """Checks of the project in a folder.

    Parameters
    ----------
    observe
        Gives the evidence for a project folder and a student, of what a check or a grade needs.
    judge
        Gives the verdicts on the evidence.
    course
        The manifest that the checks stand in.
    """

    def __init__(self, observe: Observe, judge: Judge, course: Course) -> None:
        self._observe, self._judge, self._course = observe, judge, course
        self._known: dict[tuple[str, Extent], dict[str, Verdict] | CourseError] = {}
        self._told_failure: set[tuple[str, str]] = set()

    def check(self, check_id: str | None = None) -> None:
        """Print a check's feedback, or show all checks in a table.

        Raises
        ------
        NotPassedError
            Unless the check passed; `CouldNotCheckError` where the fault is ours.
        CourseError
            When there is no such check, or the notebook does not run in a project's folder.
        """
        self._look_around()
        if check_id is None:
            self._show_all()
            return
        check = self._course.check(check_id)
        if not grading() and not check.visible:
            print(render_hidden(check, NOTEBOOK))
            return
        verdict = self._verdict(check)
        told = render(verdict, check, NOTEBOOK)
        print(told)
        if verdict.verdict != "pass":
            error = CouldNotCheckError if verdict.verdict == "could_not_check" else NotPassedError
            # nbgrader's Validate shows a cell's error, and nothing of what it printed.
            raise error(told if validating() else f"{OUTCOMES[verdict.verdict]}: {check.id}. What to do is told above.")

    def _look_around(self) -> None:
        here = Path.cwd()
        parts = (here / "dags", here / f"{self._course.assignment}.ipynb")
        if not grading() and not any(part.exists() for part in parts):
            raise CourseError(
                "The notebook does not run in its own folder: here is no project.",
                where=str(here),
                todo="Restart the kernel, and run the first code cell. In VS Code, see its section in docs/setup.md.",
                exit_code=1,
            )

    def hint(self, check_id: str, number: int = 1) -> None:
        """Print one of a check's hints."""
        print(render_hint(self._course.check(check_id), number, NOTEBOOK))

    def _show_all(self) -> None:
        from IPython.display import display

        from autograder.checks.page import Page

        checks = [check for check in self._course.checks if grading() or check.visible]
        # The last one first: what it needs to be observed answers the others too.
        verdicts = {check.id: self._verdict(check) for check in reversed(checks)}
        display(Page([verdicts[check.id] for check in checks], self._course))  # type: ignore[no-untyped-call]

    def _verdict(self, check: Check) -> Verdict:
        verdicts = self._verdicts(check)
        if isinstance(verdicts, CourseError):
            return _could_not_check(check, str(verdicts))
        if check.id not in verdicts:
            return _could_not_check(check, "The checker gave no verdict on this check.")
        return verdicts[check.id]

    def _verdicts(self, check: Check) -> dict[str, Verdict] | CourseError:
        project, student = Path.cwd(), student_name()
        if grading():
            # What later cells write is handed in too: else the pipeline would be run again after each of them.
            with contextlib.suppress(CourseError, OSError):  # then the cells say so
                for path, body in written_files(project / f"{self._course.assignment}.ipynb"):
                    (project / path).parent.mkdir(parents=True, exist_ok=True)
                    (project / path).write_text(body, encoding="utf-8", newline="")
        content = f"{student} {content_digest(project)}"
        extent: Extent = "all" if grading() else "parse" if check.id in READ else "visible"
        known = self._known
        if extent == "parse" and (content, "visible") in known:
            extent = "visible"
        # A failure of ours is not tried again for the next check's cell, which would take as long and fail
        # alike, but for the second run of the same cell.
        if isinstance(known.get((content, extent)), CourseError) and (content, check.id) in self._told_failure:
            del known[content, extent]
        if (content, extent) not in known:
            known[content, extent] = self._run(project, student, extent)
        found = known[content, extent]
        if isinstance(found, CourseError):
            self._told_failure.add((content, check.id))
        return found

    def _run(self, project: Path, student: str, extent: Extent) -> dict[str, Verdict] | CourseError:
        if extent != "all" and student == "default":
            print(f"{NO_NAME}\n", flush=True)
        if extent == "parse":
            print("Reading your DAG on an Airflow of its own. It takes seconds.", flush=True)
        else:
            print("Running your pipeline on an Airflow of its own. The first time takes a minute or two.", flush=True)
        try:
            return {one.id: one for one in self._judge(self._observe(project, student, extent))}
        except CourseError as error:
            return error
        except Exception as error:  # a mistake in our rules must not look like one of the student's
            return CourseError(f"The checker broke: {type(error).__name__}: {error}.")


def grading() -> bool:
    """Return whether nbgrader grades: then all checks are judged."""
    return os.environ.get("NBGRADER_EXECUTION") == "autograde"


def validating() -> bool:
    """Return whether nbgrader validates: by JupyterLab's Validate button, or `nbgrader validate`."""
    return os.environ.get("NBGRADER_EXECUTION") == "validate"


def student_name() -> str:
    """Return whose project this is: the folder's owner while nbgrader grades, AIRFLOW_STUDENT otherwise.

    A notebook in another editor has no such variable; there it is whose Airflow runs for this clone.
    """
    if grading():
        return Path.cwd().parent.name  # autograded/<student>/<assignment>
    name = os.environ.get("AIRFLOW_STUDENT")
    if not name and DESK.is_file():
        name = json.loads(DESK.read_text(encoding="utf-8")).get("AIRFLOW_STUDENT")
    return name or "default"


def _could_not_check(check: Check, message: str) -> Verdict:
    return Verdict(check.id, check.points, 0, "could_not_check", "", "", None, message)


def _judge_now(evidence: dict[str, Any]) -> Sequence[Verdict]:
    from autograder.checks import judge  # here, because importing this module is to be quick

    verdicts: Sequence[Verdict] = judge(evidence)
    return verdicts


_checks = Checks(evidence_for, _judge_now, load())
check = _checks.check
hint = _checks.hint
