"""The pages of a class on disk: each student's feedback, and the class report.

Contract: all are made from what is in a class folder, so that they can be made again at any time: records, evidence,
and in `graded/code/` what is compared: `<student>.py`, the DAG files that were handed in, one after the other, and
`<student>.md`, the report.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.grading import feedback, report
from autograder.grading.records import GRADED, ClassFolder, Record, write
from autograder.grading.unpack import beginning
from autograder.manifest import Course
from autograder.paths import DAGS

REPORT = "report.html"
MOST_BYTES = 200_000
"""Of a file that is kept to be compared."""

CODE = "code"


def keep_code(folder: ClassFolder, student: str, project: Path) -> None:
    """Keep what of a submission is compared with others', once: it is not laid out each time."""
    code = "\n".join(map(_text, sorted((project / "dags").rglob("*.py"))))
    for name, text in ((f"{student}.py", code), (f"{student}.md", _text(project / "ASSIGNMENT_REPORT.md"))):
        write(folder.path / GRADED / CODE / name, text, durable=True)


def _text(path: Path) -> str:
    """Return the beginning of an ordinary file; nothing of any other."""
    return beginning(path, MOST_BYTES).decode("utf-8", "replace")


def write_feedback(folder: ClassFolder, course: Course, record: Record, evidence: Mapping[str, Any] | None) -> None:
    """Write a student's feedback, as a page and as Markdown, where nbgrader has its own."""
    place = folder.path / "feedback" / record["student"] / record["assignment"]
    write(place / feedback.PAGE, feedback.page(record, evidence, course))
    write(place / feedback.MARKDOWN, feedback.markdown(record, evidence, course))


def write_report(folder: ClassFolder, course: Course) -> report.Report:
    """Write the class report, and return it as a document.

    Whoever is no longer where the class was graded from is no longer in the class: they are in no count, and compared
    with nobody. Their record stays.
    """
    there = [record for record in folder.records() if folder.still_there(record)]
    kept = folder.path / GRADED / CODE
    code, answers = (
        {one["student"]: text for one in there if (text := _text(kept / f"{one['student']}{ending}"))}
        for ending in (".py", ".md")
    )
    given = "\n".join(path.read_text(encoding="utf-8") for path in sorted(DAGS.glob("*.py")))
    told = report.report(there, course, code, answers, given)
    write(folder.path / REPORT, report.page(told, course))
    return told
