"""The records of a class on disk: what is there, whole, is done.

Contract: a class folder holds `graded/<student>.json` (a record each), `evidence/<digest>.json` (what was seen) and
`graded/logs/<student>.log` (of a grader's fault). A file is written beside and renamed, so that it is whole
or not there; evidence, and a record that has none, are brought to the disk before. `locked` keeps a second
`course grade` out of a class folder.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from autograder.checks import judge
from autograder.checks.report import document
from autograder.checks.verdict import Verdict
from autograder.errors import CourseError
from autograder.locking import Holder, locked
from autograder.manifest import Course
from autograder.observe.project import content_digest

Outcome = Literal["graded", "student_error", "timeout", "out_of_memory", "tampered", "grader_fault"]
Record = dict[str, Any]

GRADED = "graded"
EVIDENCE = "evidence"

_BESIDE = re.compile(r"\..+\.\d+(-journal)?")
"""A file that is being written, by the process of that number, and SQLite's journal of one."""


@dataclass(frozen=True)
class Seen:
    """How an observation ended; `evidence` is there only where the outcome is `graded`."""

    outcome: Outcome
    reason: str | None = None
    evidence: dict[str, Any] | None = None


@dataclass(frozen=True)
class ClassFolder:
    """The folder of a class."""

    path: Path

    def record_file(self, student: str) -> Path:
        """Return where a student's record is."""
        return self.path / GRADED / f"{student}.json"

    def evidence_file(self, digest: str) -> Path:
        """Return where the evidence of this name is."""
        return self.path / EVIDENCE / f"{digest}.json"

    def log_file(self, student: str) -> Path:
        """Return where it stands why a student's work could not be graded."""
        return self.path / GRADED / "logs" / f"{student}.log"

    def evidence(self, digest: str) -> dict[str, Any] | None:
        """Return evidence, if it is there."""
        return read(self.evidence_file(digest))

    def record(self, student: str) -> Record | None:
        """Return a student's record, if it is there."""
        return read(self.record_file(student))

    def records(self) -> list[Record]:
        """Return every student's record."""
        found = (read(path) for path in sorted((self.path / GRADED).glob("*.json")))
        return [one for one in found if one]

    def still_there(self, record: Record) -> bool:
        """Return whether what a student handed in lies where it was graded from."""
        return bool(record.get("path")) and (self.path / record["path"]).exists()

    def seen(self, student: str, digest: str) -> Seen | None:
        """Return what an earlier run saw of this very work; None where it is still to be observed."""
        if evidence := self.evidence(digest):
            return Seen("graded", None, evidence)
        record = self.record(student)
        if record and record["digest"] == digest and record["outcome"] not in ("graded", "grader_fault"):
            return Seen(record["outcome"], record["reason"])
        return None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out until the block ends; a lock whose holder has died is free.

        Raises
        ------
        CourseError
            When another process grades this class, or the folder cannot be written.
        """
        path = self.path / GRADED / ".lock"

        def refusal(holder: Holder | None) -> CourseError:
            return CourseError(
                f"This class is being graded already, by {holder or 'another process'}.",
                where=str(path),
                todo="Wait until that run has ended, or stop it; what it has done is kept.",
            )

        with locked(path, refusal):
            yield


def read(path: Path) -> dict[str, Any] | None:
    """Return a JSON object, if that is in the file."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, text: str, *, durable: bool = False) -> bool:
    """Write a file so that it is whole or as before; return whether it changed.

    Parameters
    ----------
    path
        The file.
    text
        What is to be in it.
    durable
        Whether that is to hold when the power goes, too: for what cannot be made again at once.
    """
    body = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        if path.read_bytes() == body:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(body)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    beside.rename(path)
    return True


def sweep(folder: Path) -> None:
    """Remove what writers left beside their files when they were killed; nobody may write here meanwhile."""
    for part in (folder, folder / GRADED, folder / EVIDENCE):
        for path in part.glob(".*"):
            if _BESIDE.fullmatch(path.name):
                path.unlink(missing_ok=True)


def name_of(stamp: str, student: str, project: Path) -> str:
    """Return the name of the evidence on a project, where `stamp` names how it is observed."""
    return hashlib.sha256(f"{stamp}\n{student}\n{content_digest(project)}".encode()).hexdigest()[:32]


@dataclass
class Work:
    """One student's work on its way to a record."""

    student: str
    digest: str
    submitted: str | None = None
    notes: list[str] = field(default_factory=list)
    path: str = ""
    """Where it was handed in, as seen from the class folder."""
    handed_in: str = ""
    """A name for the files as they were handed in, and how they are laid out and observed."""
    project: Path | None = None
    notebook: dict[str, Any] | None = None
    problem: Seen | None = None
    """Why there is nothing to observe."""


def make(work: Work, seen: Seen, course: Course, assignment: str) -> Record:
    """Return the record of one student's work.

    Parameters
    ----------
    work
        Whose it is, and how it was laid out.
    seen
        How its observation ended.
    course
        The manifest, with the points.
    assignment
        The assignment's name.

    Returns
    -------
    dict
        As docs/grading.md describes it. Points are null where the fault is ours.
    """
    outcome, reason = seen.outcome, seen.reason
    verdicts: Sequence[Verdict] = []
    if seen.evidence:
        verdicts = judge(seen.evidence, course)
        if unsure := [one for one in verdicts if one.verdict == "could_not_check"]:
            outcome = "grader_fault"
            reason = (
                f"The checker could not check {', '.join(one.id for one in unsure)}: {unsure[0].message} "
                "Run ./course grade again; if it stays so, grade it by hand."
            )
    elif outcome != "grader_fault":
        told = "The submission was not judged, see above." if reason is None else reason
        verdicts = [Verdict(one.id, one.points, 0, "waiting", "", "", None, told) for one in course.checks]
    known = outcome != "grader_fault"
    judged = document(work.student, verdicts, course)
    return {
        "student": work.student,
        "assignment": assignment,
        "outcome": outcome,
        "reason": reason,
        "score": judged["score"] if known else None,
        "max_score": sum(one.points for one in course.checks),
        "tiers": {
            tier.id: {
                "earned": judged["tiers"][tier.id]["score"] if known else None,
                "possible": sum(one.points for one in course.checks_of(tier.id)),
            }
            for tier in course.tiers
        },
        "checks": judged["checks"],
        "evidence": f"{EVIDENCE}/{work.digest}.json" if seen.evidence else None,
        "notes": work.notes,
        "submitted": work.submitted,
        "path": work.path,
        "seconds": (seen.evidence or {}).get("seconds", {}),
        "digest": work.digest,
        "handed_in": work.handed_in,
    }
