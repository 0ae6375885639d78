"""The pages of a class on disk: each student's feedback, and the class report.

Contract: all are made from what is in a class folder, so that they can be made again at any time: records, evidence,
and `graded/code/<student>.py`, the DAG files that were handed in, one after the other.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from autograder.grading import feedback, report
from autograder.grading.records import GRADED, ClassFolder, write
from autograder.manifest import Course
from autograder.paths import DAGS

REPORT = "report.html"
MOST_BYTES = 200_000
"""Of a DAG file that is kept to be compared."""


def keep_code(folder: ClassFolder, student: str, project: Path) -> None:
    """Keep the DAG files of a submission, those that are ordinary files."""
    texts = []
    for path in sorted((project / "dags").rglob("*.py")):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        with os.fdopen(handle, "rb") as file:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                texts.append(file.read(MOST_BYTES).decode("utf-8", "replace"))
    write(folder.path / GRADED / "code" / f"{student}.py", "\n".join(texts))


def write_feedback(folder: ClassFolder, course: Course, students: Iterable[str]) -> None:
    """Write students' feedback, as a page and as Markdown, where nbgrader has its own."""
    for student in students:
        if record := folder.record(student):
            evidence = folder.evidence(record["digest"]) if record["evidence"] else None
            place = folder.path / "feedback" / student / record["assignment"]
            write(place / feedback.PAGE, feedback.page(record, evidence, course))
            write(place / feedback.MARKDOWN, feedback.markdown(record, evidence, course))


def write_report(folder: ClassFolder, course: Course) -> report.Report:
    """Write the class report, and return it as a document."""
    records = folder.records()
    code = {path.stem: path.read_text(encoding="utf-8") for path in (folder.path / GRADED / "code").glob("*.py")}
    answers = {}
    for record in records:
        evidence = folder.evidence(record["digest"]) if record["evidence"] else None
        if evidence and (text := evidence["files"]["ASSIGNMENT_REPORT.md"]):
            answers[record["student"]] = text
    given = "\n".join(path.read_text(encoding="utf-8") for path in sorted(DAGS.glob("*.py")))
    told = report.report(records, course, code, answers, given)
    write(folder.path / REPORT, report.page(told, course))
    return told
