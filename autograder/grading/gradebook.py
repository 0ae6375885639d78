"""Points and comments of a class, written into nbgrader's gradebook.

Contract: `Book` writes what the records say into a gradebook.db that nbgrader and formgrader open: in one transaction,
so that a class's points are there or not, and only what differs, so that writing twice changes nothing. What a person
wrote (manual points, extra credit, comments of theirs) is never touched; where the points under a manual mark change,
the mark is to be looked at again. Points of a fault of ours are none, and to be given by hand.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbgrader import utils
from nbgrader.api import (
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    MissingEntry,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy.exc import SQLAlchemyError

from autograder.errors import CourseError
from autograder.grading.course_folder import programs
from autograder.grading.feedback import inline
from autograder.grading.realign import Notebook, grade_id, solutions, target
from autograder.grading.records import Record
from autograder.manifest import DAG_FILE, Course
from autograder.paths import ROOT, SOURCE

COURSE_ID = "orchestration-week"
"""As nbgrader_config.py has it."""

FILE = "gradebook.db"

CONFIG = "nbgrader_config.py"


class Book:
    """An open gradebook; use `opened`."""

    def __init__(self, gradebook: Any, course: Course, release: Notebook) -> None:  # noqa: ANN401 - nbgrader has no types
        self._book, self._course, self._release = gradebook, course, release
        self._assignment = course.assignment
        self._written = {name: target(cell) for name, cell in solutions(release).items()}

    def describe_assignment(self) -> None:
        """Write the assignment, its notebook, cells and points, as `nbgrader generate_assignment` would.

        Other points than before are there with the grades that `write` writes, not earlier.

        Raises
        ------
        CourseError
            When the gradebook has submissions of an assignment with other cells.
        """
        book, name = self._book, self._assignment
        cells = [cell for cell in self._release["cells"] if grade_id(cell)]
        book.update_or_create_assignment(name)
        try:
            notebook = book.find_notebook(name, name)
        except MissingEntry:
            notebook = book.add_notebook(name, name)
        there = {one.name for one in notebook.source_cells}
        if notebook.submissions and there != {grade_id(cell) for cell in cells}:
            raise CourseError(
                "The gradebook has submissions of this assignment with other cells.",
                where=FILE,
                todo="Grade into another folder (--into), or move the old gradebook.db away.",
            )
        # nbgrader's own functions commit each cell by itself: they make only what is not there.
        sources = {one.name: one for one in notebook.source_cells}
        points = {one.name: one for one in notebook.grade_cells}
        answers = {one.name for one in notebook.solution_cells}
        for cell in cells:
            role, kind = cell["metadata"]["nbgrader"], cell["cell_type"]
            handle = (role["grade_id"], name, name)
            worth = {"max_score": float(role["points"]), "cell_type": kind} if role["grade"] else {}
            told = {"cell_type": kind, "source": cell["source"], "locked": role["locked"], "checksum": role["checksum"]}
            if role["grade_id"] in points:
                _set(points[role["grade_id"]], worth)
            elif role["grade"]:
                book.update_or_create_grade_cell(*handle, **worth)
            if role["solution"] and role["grade_id"] not in answers:
                book.update_or_create_solution_cell(*handle)
            if role["grade_id"] in sources:
                _set(sources[role["grade_id"]], told)
            else:
                book.update_or_create_source_cell(*handle, **told)

    def write(self, records: Sequence[Record]) -> list[str]:
        """Write records, in one transaction; return the students whose points or comments changed."""
        grades, comments = self._grades(), self._comments()
        changed = [
            record["student"]
            for record in records
            if self._write(record, grades.get(record["student"]), comments.get(record["student"], {}))
        ]
        self._date(records)
        self._book.db.commit()
        return changed

    def _write(
        self, record: Record, grades: Mapping[str, Any] | None, comments: Mapping[str, tuple[str, str | None]]
    ) -> bool:
        student, db = record["student"], self._book.db
        if new := grades is None:
            grades, comments = self._add(student)
        points = {
            self._course.check(one["id"]).grade_id: (
                None if one["verdict"] == "could_not_check" else float(one["earned"])
            )
            for one in record["checks"]
        }
        changes = []
        for name, (handle, auto, manual, needs) in (grades or {}).items():
            now = points.get(name)  # none where the fault is ours
            changed = new or auto != now
            wanted = now is None or (manual is not None and (needs or changed))
            if changed or needs != wanted:
                changes.append({"id": handle, "auto_score": now, "needs_manual_grade": wanted})
        said = self._said(record)
        talked = [
            {"id": handle, "auto_comment": said[name]}
            for name, (handle, text) in comments.items()
            if text != said[name]
        ]
        if changes:
            db.bulk_update_mappings(Grade, changes)
        if talked:
            db.bulk_update_mappings(Comment, talked)
        return bool(new or changes or talked)

    def _add(self, student: str) -> tuple[dict[str, Any], dict[str, tuple[str, str | None]]]:
        """Add a student's submission with empty grades and comments, in the transaction that is under way."""
        book, db = self._book, self._book.db
        with db.no_autoflush:
            one = db.get(Student, student) or Student(id=student)
            notebook = book.find_notebook(self._assignment, self._assignment)
            submission = SubmittedAssignment(assignment=book.find_assignment(self._assignment), student=one)
            own = SubmittedNotebook(notebook=notebook, assignment=submission)
            grades = {cell.name: Grade(cell_id=cell.id, notebook=own) for cell in notebook.grade_cells}
            comments = {cell.name: Comment(cell_id=cell.id, notebook=own) for cell in notebook.solution_cells}
            db.add(submission)
        db.flush()
        return (
            {name: (grade.id, None, None, True) for name, grade in grades.items()},
            {name: (comment.id, None) for name, comment in comments.items()},
        )

    def _date(self, records: Sequence[Record]) -> None:
        """Write when each was handed in."""
        dates = {}
        for record in records:
            with contextlib.suppress(ValueError):  # a date that nobody can read is none
                if record["submitted"]:
                    dates[record["student"]] = utils.parse_utc(record["submitted"])
        for submission in self._book.find_assignment(self._assignment).submissions if dates else ():
            _set(submission, {"timestamp": dates.get(submission.student_id, submission.timestamp)})

    def _of(self, query: Any, model: Any, cell: Any) -> Any:  # noqa: ANN401
        book = self._book
        return (
            query.select_from(model)
            .join(cell, cell.id == model.cell_id)
            .join(SubmittedNotebook, SubmittedNotebook.id == model.notebook_id)
            .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
            .filter(SubmittedAssignment.assignment_id == book.find_assignment(self._assignment).id)
        )

    def _grades(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {
            student: {}
            for (student,) in self._book.db.query(SubmittedAssignment.student_id).filter(
                SubmittedAssignment.assignment_id == self._book.find_assignment(self._assignment).id
            )
        }
        columns = (SubmittedAssignment.student_id, BaseCell.name, Grade.id, Grade.auto_score, Grade.manual_score,
                   Grade.needs_manual_grade)  # fmt: skip
        for student, name, *fields in self._of(self._book.db.query(*columns), Grade, BaseCell):
            found[student][name] = tuple(fields)
        return found

    def _comments(self) -> dict[str, dict[str, tuple[str, str | None]]]:
        found: dict[str, dict[str, tuple[str, str | None]]] = {}
        columns = (SubmittedAssignment.student_id, BaseCell.name, Comment.id, Comment.auto_comment)
        for student, name, handle, text in self._of(self._book.db.query(*columns), Comment, BaseCell):
            found.setdefault(student, {})[name] = (handle, text)
        return found

    def _said(self, record: Record) -> dict[str, str | None]:
        """Return the comment on each solution cell: what of it does not pass yet, and what was repaired.

        nbgrader's feedback takes a comment for Markdown, with HTML in it.
        """
        said: dict[str, str | None] = {}
        for name, file in self._written.items():
            lines = []
            if file == DAG_FILE:
                lines = [*([record["reason"]] if record["reason"] else []), *record["notes"]]
            if record["outcome"] == "graded":
                lines += [
                    f"{one['id']}: {one['message']}"
                    for one in record["checks"]
                    if one["verdict"] != "pass" and self._course.check(one["id"]).file == file
                ]
            said[name] = "\n\n".join(map(inline, lines)) or None
        return said


def configure(folder: Path) -> None:
    """Let nbgrader and formgrader, started in a class folder, find the clone's assignment and settings.

    Parameters
    ----------
    folder
        The class folder; where it has a configuration, as the clone has, that stays.
    """
    with contextlib.suppress(FileExistsError), (folder / CONFIG).open("x", encoding="utf-8") as config:
        config.write(
            "# Made by course grade: the clone's settings for nbgrader, and its assignment.\n"
            "c = get_config()\n"
            f"load_subconfig({str(ROOT / CONFIG)!r})\n"
            f"c.CourseDirectory.source_directory = {str(SOURCE)!r}\n"
        )


def _set(row: Any, fields: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Set what differs; what does not is no change."""
    for name, value in fields.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


@contextlib.contextmanager
def opened(folder: Path, course: Course, release: Notebook) -> Iterator[Book]:
    """Open the gradebook of a class folder; make it where there is none.

    Parameters
    ----------
    folder
        The class folder.
    course
        The manifest.
    release
        The release notebook with the manifest's points.

    Raises
    ------
    CourseError
        When it cannot be opened or written to.
    """
    path = folder / FILE
    try:
        if not path.exists():  # made beside and renamed: without its version, nbgrader would not open it
            beside = folder / f".{FILE}.{os.getpid()}"
            beside.unlink(missing_ok=True)
            with _programs():
                Gradebook(f"sqlite:///{beside}", COURSE_ID).close()
            beside.rename(path)
        with Gradebook(f"sqlite:///{path}", COURSE_ID) as gradebook:
            yield Book(gradebook, course, release)
    except SQLAlchemyError as error:
        raise CourseError(
            f"The gradebook cannot be used: {str(error).splitlines()[0]}",
            where=str(path),
            todo="End nbgrader and formgrader where they write to it, and run ./course grade again. "
            "If it is of an older nbgrader, run nbgrader db upgrade first.",
        ) from error


@contextlib.contextmanager
def _programs() -> Iterator[None]:
    """Let nbgrader find its programs until the block ends; its own utils.setenv would then take PATH away."""
    before = os.environ.get("PATH")
    os.environ["PATH"] = programs()
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before


def with_points(release: Notebook, course: Course) -> Notebook:
    """Return a release notebook with the manifest's points, and the checksums that go with them."""
    from nbformat import NotebookNode, from_dict

    by_name = {check.grade_id: check for check in course.checks}
    cells = []
    for cell in release["cells"]:
        name = grade_id(cell)
        if name in by_name:
            role = cell["metadata"]["nbgrader"] | {"points": by_name[name].points}
            cell = cell | {"metadata": cell["metadata"] | {"nbgrader": role}}
        if name:
            node: NotebookNode = from_dict(cell)
            cell["metadata"]["nbgrader"]["checksum"] = utils.compute_checksum(node)
        cells.append(cell)
    return release | {"cells": cells}
