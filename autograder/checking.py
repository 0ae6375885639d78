"""What `course check`, `course judge` and `course solution` do: observe, judge, and tell it in the terminal.

Contract: nothing here decides a verdict. Before grading, only the visible checks are run; those that are asked for
say how much must be played. Evidence on record is used again.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autograder.airflow_local.local import Shared
from autograder.cells import NO_NAME, READ
from autograder.checks import judge
from autograder.checks.feedback import TERMINAL, render, render_hidden, summary
from autograder.checks.report import document
from autograder.checks.verdict import Verdict
from autograder.console import err, out
from autograder.errors import CourseError
from autograder.manifest import Check, Course, load
from autograder.observe.client import Extent
from autograder.observe.evidence import PARSE, SCENARIOS, VERSION, VISIBLE, observed
from autograder.observe.project import write_project, written_files
from autograder.paths import ASSIGNMENT, SOURCE

PLAYED = {"parse": PARSE, "visible": VISIBLE, "all": SCENARIOS}
"""The scenarios that belong to each extent."""

_MARK = re.compile("(BEGIN|END) SOLUTION")


def observe(submission: Path, student: str, extent: Extent) -> dict[str, Any]:
    """Run a submission, or find what an earlier run of the same wrote down.

    Parameters
    ----------
    submission
        A notebook, or a folder.
    student
        Whose it is.
    extent
        How much of it is played.
    """
    with tempfile.TemporaryDirectory(prefix="course-project-") as folder:
        return observed_as(write_project(submission, Path(folder)), student, extent)


def asked(name: str | None, course: Course) -> list[Check]:
    """Return the checks that a name means: one, a tier's, or all.

    Raises
    ------
    CourseError
        When there is no such check or tier.
    """
    found = [check for check in course.checks if name in (None, check.id, check.tier)]
    return found or [course.check(name or "")]  # which says what there is


def check(submission: Path, name: str | None) -> dict[str, Any]:
    """Tell how far a submission is, before grading, and return the same as a document.

    Parameters
    ----------
    submission
        A notebook, or a folder.
    name
        A check or a tier; all when not given.
    """
    course = load()
    wanted = asked(name, course)
    student = own_name()
    visible = [one for one in wanted if one.visible]
    verdicts: list[Verdict] = []
    if visible:
        extent: Extent = "parse" if all(one.id in READ for one in visible) else "visible"
        verdicts = judged(observe(submission, student, extent), visible, course)
    tell(verdicts, wanted, course)
    return document(student, verdicts, course)


def judged_files(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Judge evidence documents, and return each one's verdicts as a document.

    Parameters
    ----------
    paths
        Files that `course observe` wrote, and folders of such files (`*.json`).

    Raises
    ------
    CourseError
        When one is no evidence, or a folder has none.
    """
    course = load()
    return [_judge_file(path, course) for path in _evidence_files(paths)]


def _evidence_files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
        elif files := sorted(path.glob("*.json")):
            yield from files
        else:
            raise CourseError(
                "There is no evidence in this folder.", where=str(path), todo="Name one with .json files."
            )


def _judge_file(path: Path, course: Course) -> dict[str, Any]:
    try:
        evidence = json.loads(path.read_bytes())
        if not isinstance(evidence, dict) or evidence.get("version") != VERSION:
            raise ValueError(f"it is not a document of version {VERSION}")
        student = str(evidence["student"])
    except (OSError, ValueError, KeyError) as error:
        raise CourseError(
            f"This is not evidence: {error}.", where=str(path), todo="Make it with ./course observe."
        ) from error
    return document(student, judge(evidence, course), course)


def tell_document(one: dict[str, Any]) -> None:
    """Print a document of verdicts: each check, and the points of each tier."""
    course = load()
    verdicts = [Verdict(**fields) for fields in one["checks"]]
    tell(verdicts, list(course.checks), course)


def solution(submission: Path, file: str) -> str:
    """Return a file of the reference solution, for a student whose visible checks all pass.

    Parameters
    ----------
    submission
        The student's notebook, or folder.
    file
        Which of the solution's files.

    Raises
    ------
    CourseError
        When a visible check does not pass yet, or there is no such file.
    """
    reference = SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
    if not reference.is_file():
        raise CourseError("The solution is not in this clone.", where=str(reference), todo="Ask your teacher for it.")
    files = {path.as_posix(): text for path, text in written_files(reference)}
    if file not in files:
        raise CourseError(f"The solution has no file {file}.", todo=f"Use one of: {', '.join(files)}.")
    course = load()
    visible = [one for one in course.checks if one.visible]
    verdicts = judged(observe(submission, own_name(), "visible"), visible, course)
    if lost := [one.id for one in verdicts if one.verdict != "pass"]:
        raise CourseError(
            f"The solution is shown when all visible checks pass; {len(lost)} do not yet: {', '.join(lost)}.",
            todo=f"See ./course check {lost[0]}, and ./course hint {lost[0]} 3.",
            exit_code=1,
        )
    return "".join(line for line in files[file].splitlines(keepends=True) if not _MARK.search(line))


def own_name() -> str:
    """Return the student's name; say so where it is nobody's."""
    name = os.environ.get("AIRFLOW_STUDENT") or "default"
    if name == "default":
        err.print(NO_NAME, markup=False, soft_wrap=True)
    return name


def observed_as(project: Path, student: str, extent: Extent, shared: Shared | None = None) -> dict[str, Any]:
    """Return the evidence on a project folder to this extent, with lines of progress on stderr."""

    def told(line: str) -> None:
        err.print(f"  {line}", markup=False)

    return observed(project, student, wanted=PLAYED[extent], shared=shared, told=told)


def judged(evidence: dict[str, Any], checks: Sequence[Check], course: Course) -> list[Verdict]:
    """Return the verdicts on these checks."""
    ids = {one.id for one in checks}
    return [verdict for verdict in judge(evidence, course) if verdict.id in ids]


def tell(verdicts: Sequence[Verdict], checks: Sequence[Check], course: Course) -> None:
    """Print what has not passed in full, and then all in a line each."""
    run = {verdict.id: verdict for verdict in verdicts}
    alone = len(checks) == 1
    for one in checks:
        if one.id not in run:
            if alone:
                _print(render_hidden(one, TERMINAL))
        elif alone or run[one.id].verdict != "pass":
            _print(render(run[one.id], one, TERMINAL))
    if not alone:
        part = checks if len(checks) < len(course.checks) else None
        _print(summary(verdicts, course, TERMINAL, part))


def _print(text: str) -> None:
    out.print(f"{text}\n", markup=False, soft_wrap=True)
