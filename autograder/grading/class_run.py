"""Grade a class: `course grade`.

Contract: `grade_class` brings every submission to a record, points and comments into the gradebook, and the sheets.
What is on disk, whole and of this very work, is done; so a run that was killed goes on where it stopped, and one
after a change of points starts nothing. No student's work stops another's, and no fault of ours becomes a grade.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autograder.airflow_local.session import Session
from autograder.checks.feedback import NOTEBOOK, OUTCOMES, render
from autograder.checks.verdict import Verdict
from autograder.errors import CourseError
from autograder.grading import gradebook, pages, records, workers
from autograder.grading.dbt_packages import provide
from autograder.grading.observers import GRACE_S, Observer
from autograder.grading.realign import Notebook, grade_id, harmless, read_notebook
from autograder.grading.records import ClassFolder, Record, Seen, Work
from autograder.grading.sheets import sheets
from autograder.grading.submissions import HandedIn, handed_in, lay_out
from autograder.grading.unpack import fingerprint
from autograder.manifest import Course, load
from autograder.paths import RELEASE

TRIES = 2
"""How often a submission is observed before a fault of ours is reported."""

LAID_OUT = "submissions"


def _silent(record: Record, left: int) -> None:
    """Tell nothing."""


def _silent_tick(left: int) -> None:
    """Show nothing."""


def _refused(error: Exception) -> Seen:
    """Return the outcome of what could not be laid out: one student's work must not stop the others."""
    if not isinstance(error, CourseError):
        return Seen("grader_fault", f"It could not be laid out: {type(error).__name__}: {error}.")
    told = " ".join(filter(None, [error.what, error.todo]))
    return Seen("student_error" if error.exit_code == 1 else "grader_fault", told)


@dataclass
class ClassRun:
    """One run over a class.

    Parameters
    ----------
    folder
        The class folder.
    course
        The manifest.
    release
        The release notebook, with the manifest's points.
    observer
        How submissions are observed.
    jobs
        How many at once.
    told
        Takes each record when it is made, and how many are still to come.
    tick
        Called now and then while submissions are observed, with how many are left.
    """

    folder: ClassFolder
    course: Course
    release: Notebook
    observer: Observer
    jobs: int
    told: Callable[[Record, int], None]
    tick: Callable[[int], None]
    made: dict[str, Record] = field(default_factory=dict)
    left: int = 0
    tries: dict[str, int] = field(default_factory=dict)

    def run(self, submissions: Path) -> list[Record]:
        """Grade what is in a folder of submissions; return the records, by student."""
        given = handed_in(submissions, self.course.assignment)
        with self.folder.locked(), Session.open() as session:
            records.sweep(self.folder.path)
            stamp = self.observer.stamp()
            released = json.dumps([[cell["cell_type"], cell["source"]] for cell in self.release["cells"]])
            place = session.folder / LAID_OUT
            works: dict[str, Work] = {}
            waiting: list[Work] = []
            for one in given:
                works[one.student] = work = self._work(one, place, stamp, f"{stamp}{released}")
                if one.student not in self.made:
                    waiting.append(work)
            self.left = len(waiting)
            for work in works.values():
                if work not in waiting:
                    self.told(self.made[work.student], self.left)
            for work, seen in self._observed(waiting, session):
                self.left -= 1
                self._keep(work, self._record(work, seen), seen)
                self.told(self.made[work.student], self.left)
            self._publish(works)
        return [self.made[student] for student in sorted(self.made)]

    def _work(self, one: HandedIn, place: Path, stamp: str, laid_out_by: str) -> Work:
        """Return a student's work, with its record made where no more is to be done than to judge."""
        name = hashlib.sha256(f"{laid_out_by}{fingerprint(one.path)}".encode()).hexdigest()[:32]
        record = self.folder.record(one.student)
        if record and record.get("handed_in") == name:
            notebook = records.read(self._notebook_file(one.student))
            seen = self.folder.seen(one.student, record["digest"])
            work = Work(
                one.student, record["digest"], one.submitted, record["notes"], self._path(one), name, notebook=notebook
            )
            if seen and notebook and self._settled(work, seen):
                return work
        work = self._laid_out(one, place, stamp)
        work.handed_in = name
        if seen := work.problem or self.folder.seen(work.student, work.digest):
            self._settled(work, seen)
        return work

    def _path(self, one: HandedIn) -> str:
        return os.path.relpath(one.path, self.folder.path)

    def _notebook_file(self, student: str) -> Path:
        name = self.course.assignment
        return self.folder.path / "autograded" / student / name / f"{name}.ipynb"

    def _laid_out(self, one: HandedIn, place: Path, stamp: str) -> Work:
        work = Work(one.student, "", one.submitted, list(one.notes), self._path(one))
        try:
            found = lay_out(one, place / one.student, self.release, self.course.assignment)
        except Exception as error:
            work.problem = _refused(error)
        else:
            work.project, work.notebook, work.notes = found.project, found.notebook, found.notes
            work.digest = records.name_of(stamp, one.student, found.project)
        return work

    def _settled(self, work: Work, seen: Seen) -> bool:
        """Make the record of what is known already; return whether that is all there is to do."""
        record = self._record(work, seen)
        if record["outcome"] == "grader_fault" and not work.problem:
            if work.project:
                self._forget(work)
            return False
        self._keep(work, record, seen)
        return True

    def _record(self, work: Work, seen: Seen) -> Record:
        return records.make(work, seen, self.course, self.course.assignment)

    def _keep(self, work: Work, record: Record, seen: Seen) -> None:
        """Write a record; and the pages that come from its evidence, which is large, while it is at hand."""
        self.made[work.student] = record
        pages.write_feedback(self.folder, self.course, record, seen.evidence)
        # From evidence it can be made again at once.
        durable = seen.evidence is None
        records.write(self.folder.record_file(work.student), json.dumps(record, indent=1) + "\n", durable=durable)

    def _forget(self, work: Work) -> None:
        assert work.project  # noqa: S101 - it was observed
        self.folder.evidence_file(work.digest).unlink(missing_ok=True)
        self.observer.forget(work.project, work.student)

    def _observed(self, waiting: Sequence[Work], session: Session) -> Iterator[tuple[Work, Seen]]:
        by_student = {work.student: work for work in waiting}
        jobs = []
        for work in waiting:
            assert work.project  # noqa: S101 - what has none is settled
            try:
                provide(work.project)
            except Exception as error:
                yield work, _refused(error)
            else:
                jobs.append(workers.Job(work.student, work.project, self.folder.evidence_file(work.digest)))
        if not jobs:
            return
        self.tick(self.left)
        with self.observer.opened(session) as observe:
            for told in workers.observe_all(
                jobs, observe, partial(records.write, durable=True),
                workers=self.jobs, limit_s=self.observer.limit_s + GRACE_S,
                again=lambda told: self._again(by_student[told.job.student], told), tick=lambda: self.tick(self.left),
            ):  # fmt: skip
                work = by_student[told.job.student]
                yield work, self._seen(work, told, session)

    def _again(self, work: Work, told: workers.Told) -> bool:
        """Return whether a submission is to be observed again, because of a fault of ours."""
        self.tries[work.student] = self.tries.get(work.student, 0) + 1
        fault = told.outcome == "grader_fault"
        if told.outcome == "graded":
            seen = self.folder.seen(work.student, work.digest)
            fault = not seen or self._record(work, seen)["outcome"] == "grader_fault"
        if not fault or self.tries[work.student] >= TRIES:
            return False
        self._forget(work)
        return True

    def _seen(self, work: Work, told: workers.Told, session: Session) -> Seen:
        if told.outcome == "graded" and (seen := self.folder.seen(work.student, work.digest)):
            return seen
        if told.outcome not in ("graded", "grader_fault"):
            return Seen(told.outcome, told.reason)  # type: ignore[arg-type] # as Ended has it
        log = self.folder.log_file(work.student)
        records.write(log, f"{told.log}\nThe logs of the session: {session.logs}\n")
        return Seen(
            "grader_fault",
            f"The grader failed, {TRIES} times: {told.reason or 'its evidence could not be read.'} That is no fault of "
            f"the student's, and no points are given. See {log}; run ./course grade again.",
        )

    def _publish(self, works: dict[str, Work]) -> None:
        """Write the gradebook, the notebooks that formgrader shows, and the sheets."""
        for student, work in works.items():
            records.write(self._notebook_file(student), json.dumps(self._shown(work, self.made[student])))
        with gradebook.opened(self.folder.path, self.course, self.release) as book:
            book.describe_assignment()
            book.write([self.made[student] for student in sorted(works)])
        gradebook.configure(self.folder.path)
        for work in works.values():
            if work.project:
                pages.keep_code(self.folder, work.student, work.project)
        for name, text in sheets(self.folder.records(), self.course).items():
            records.write(self.folder.path / name, text)
        pages.write_report(self.folder, self.course)

    def _shown(self, work: Work, record: Record) -> Notebook:
        """Return a student's notebook with the verdicts under its grade cells."""
        told = {one["id"]: one for one in record["checks"]}
        said = {}
        for check in self.course.checks:
            fields = told.get(check.id)
            if fields and record["evidence"]:
                said[check.grade_id] = render(Verdict(**fields), check, NOTEBOOK)
            else:
                outcome = OUTCOMES[fields["verdict"] if fields else "could_not_check"]
                said[check.grade_id] = f"{outcome} · {check.id}\n{record['reason']}"
        cells = []
        for cell in (work.notebook or self.release)["cells"]:
            text = said.get(grade_id(cell) or "")
            output = [{"name": "stdout", "output_type": "stream", "text": f"{text}\n"}]
            cells.append(cell | {"outputs": output} if text else cell)
        return harmless((work.notebook or self.release) | {"cells": cells}, self.release)


def grade_class(
    submissions: Path,
    into: Path,
    observer: Observer,
    *,
    jobs: int,
    course: Course | None = None,
    release: Path | None = None,
    told: Callable[[Record, int], None] = _silent,
    tick: Callable[[int], None] = _silent_tick,
) -> list[Record]:
    """Grade a class.

    Parameters
    ----------
    submissions
        A folder with what each student handed in.
    into
        The class folder, for records, gradebook and sheets.
    observer
        How submissions are observed.
    jobs
        How many at once.
    course
        The manifest; the clone's when not given.
    release
        The release notebook; the clone's when not given.
    told
        Takes each record when it is made, and how many are still to be observed.
    tick
        Called now and then while submissions are observed, with how many are left.

    Raises
    ------
    CourseError
        When there is nothing to grade, this class is being graded already, or the class folder cannot be written, or
        is among the submissions.
    """
    submissions, into = submissions.resolve(), into.resolve()
    if into.is_relative_to(submissions):
        raise CourseError(
            "The class folder is in the folder of submissions, where it would be taken for a student's work.",
            where=str(into),
            todo=f"Name another one, such as --into {submissions}-grades.",
        )
    course = course or load()
    path = release or RELEASE / course.assignment / f"{course.assignment}.ipynb"
    pointed = gradebook.with_points(read_notebook(path)[0], course)
    return ClassRun(ClassFolder(into), course, pointed, observer, jobs, told, tick).run(submissions)
