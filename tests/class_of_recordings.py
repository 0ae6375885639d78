"""A class whose evidence is on record: all of `course grade` but the running.

Contract: a student's name is a submission's of the corpus, whose recorded evidence is what is seen of their work; or
one of `WAYS`, in which an observation can fail. `python -m tests.class_of_recordings FOLDER SECONDS` grades the class
in FOLDER/submitted, where an observation takes SECONDS.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.airflow_local.session import Session
from autograder.grading.class_run import grade_class
from autograder.grading.records import Record
from autograder.grading.workers import Observe
from autograder.manifest import Course
from autograder.sandbox import Ended
from tests import record
from tests.corpus import SUBMISSIONS

WAYS = ("dies", "hangs", "fails", "fails-once", "too-large")


@dataclass(frozen=True)
class Recordings:
    """An observer that looks evidence up; `count` takes a line for each observation, `pause` is how long one takes."""

    count: Path
    pause: float = 0
    limit_s: float = 30

    def stamp(self) -> str:
        return "recordings"

    @contextlib.contextmanager
    def opened(self, session: Session) -> Iterator[Observe]:
        yield self.observe

    def observe(self, project: Path, student: str) -> dict[str, Any]:
        before = self.observed()
        with self.count.open("a") as lines:
            lines.write(f"{student}\n")
        time.sleep(self.pause)
        match student:
            case "dies":
                os._exit(3)
            case "hangs":
                time.sleep(600)
            case "fails":
                raise RuntimeError("Postgres did not start.")
            case "fails-once" if student not in before:
                raise RuntimeError("Postgres did not start.")
            case "too-large":
                raise Ended("out_of_memory", "It used 9 GB.", "Use less.")
        evidence: dict[str, Any] = record.read("reference" if student in WAYS else student.partition(".")[0])[
            "evidence"
        ]
        return evidence

    def observed(self) -> list[str]:
        """Return who was observed, each time."""
        return self.count.read_text().split() if self.count.exists() else []

    def forget(self, project: Path, student: str) -> None:
        pass


def hand_in(folder: Path, students: Sequence[str]) -> Path:
    """Write what students hand in, and return the folder."""
    for student in students:
        name = "reference" if student in WAYS else student.partition(".")[0]
        for path, content in SUBMISSIONS[name].files().items():
            (folder / student / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / student / path).write_bytes(content)
        (folder / student / "dags").mkdir(parents=True, exist_ok=True)
        (folder / student / "dags" / "__init__.py").touch()
    return folder


def grade(folder: Path, observer: Recordings, course: Course | None = None, jobs: int = 2) -> dict[str, Record]:
    """Grade the class in a folder's submitted/."""
    return {
        one["student"]: one for one in grade_class(folder / "submitted", folder, observer, jobs=jobs, course=course)
    }


if __name__ == "__main__":
    there = Path(sys.argv[1])
    grade(there, Recordings(there / "count", pause=float(sys.argv[2])))
