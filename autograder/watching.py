"""`course check --watch`: check again whenever a file is saved.

Contract: one session stays open until Ctrl-C, so that what reading the DAG file answers is told in less than a second;
the rest comes as it is known. No save is missed, also of one that is made during a check.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from watchfiles import watch as changes

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.cells import READ
from autograder.checking import asked, judged, observed_as, own_name, tell
from autograder.checks.report import progress, so_far
from autograder.console import out, show_error
from autograder.errors import CourseError
from autograder.manifest import Check, Course, load
from autograder.observe.project import FOLDERS, content_digest, write_project

LOOK_AGAIN_MS = 1000
"""How often the content is looked at where nothing tells of a change, as in a folder that was not there."""


def watch(submission: Path, name: str | None) -> None:
    """Check now, and again whenever a file is saved, until Ctrl-C.

    Parameters
    ----------
    submission
        A notebook, or a folder.
    name
        A check or a tier; all when not given.
    """
    course = load()
    wanted = [one for one in asked(name, course) if one.visible]
    if not wanted:
        raise CourseError(f"{name} is checked at grading only.", todo="Watch all, or a check that is run before.")
    student = own_name()
    logging.getLogger("watchfiles").setLevel(logging.ERROR)  # it tells of Ctrl-C as of something odd
    with Session.open() as session, tempfile.TemporaryDirectory(prefix="course-watch-") as folder:
        shared = Shared.start(session)
        rounds, content = 0, ""
        while True:
            if (now := _content(submission)) == content:
                if _wait(submission, content):
                    continue
                break
            rounds, content = rounds + 1, now
            out.rule(time.strftime("%H:%M:%S"))
            try:
                project = write_project(submission, Path(folder) / str(rounds))
                _in_two_steps(project, student, wanted, course, shared)
            except CourseError as error:
                show_error(error)
    out.print("Stopped.")


def _wait(submission: Path, before: str) -> bool:
    """Return True when the submission's content has changed, or False when the program is asked to end."""
    out.print("Waiting for a file to be saved. Stop with Ctrl-C.")
    told = changes(
        *_folders(submission), recursive=False, rust_timeout=LOOK_AGAIN_MS, yield_on_timeout=True, raise_interrupt=False
    )
    return any(_content(submission) != before for _ in told)


def _content(submission: Path) -> str:
    """Return a name for what a submission holds, or why it holds nothing."""
    with tempfile.TemporaryDirectory(prefix="course-watch-") as folder:
        try:
            return content_digest(write_project(submission, Path(folder)))
        except CourseError as error:
            return str(error)


def _folders(submission: Path) -> list[Path]:
    """Return the folders in which something of a submission stands."""
    if submission.is_file():
        return [submission.parent]
    parts = [submission / part for part in FOLDERS]
    return [submission, *(path for part in parts for path in [part, *part.rglob("*")] if path.is_dir())]


def _in_two_steps(project: Path, student: str, wanted: Sequence[Check], course: Course, shared: Shared) -> None:
    """Tell what reading the file answers; then, where it loads, what its runs answer."""
    quick = [one for one in wanted if one.id in READ]
    if quick:
        verdicts = judged(observed_as(project, student, "parse", shared), quick, course)
        tell(verdicts, quick, course)
        if len(quick) == len(wanted) or any(one.verdict != "pass" for one in verdicts):
            return
    evidence = observed_as(project, student, "visible", shared)
    rest = [one for one in wanted if one not in quick]
    tell(judged(evidence, rest, course), rest, course)
    verdicts = judged(evidence, wanted, course)
    everything = len(wanted) == sum(one.visible for one in course.checks)
    out.print(progress(verdicts, course), so_far(verdicts, course) if everything else "", sep="\n", markup=False)
