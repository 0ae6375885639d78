"""Grading a class on both sides: `course grade`, and stock `nbgrader autograde` with stock commands in the grade cells.

Contract: `stock` and `ours` grade the same submissions once, and return a `Sample` whose content is every check's
points. The stock side's cells run the same scenarios with the packages' own `airflow` and `dbt`. Nobody's evidence is
on record: students have other names on each side and each time, and the evidence goes away afterwards.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.grading.course_folder import CourseFolder
from autograder.manifest import load
from autograder.paths import ASSIGNMENT, ROOT, SOURCE, STATE
from benchmarks.figures import Figure, Sample
from benchmarks.usage import Peak
from tests.corpus import SUBMISSIONS
from tests.record import unrecorded

SIZES = (10, 200)
"""Classes that are compared for what one submission costs."""

QUICK = "%%writefile dags/taxi_pipeline.py\nraise RuntimeError('{student}')\n"
"""A submission that takes seconds to observe, and is like no other."""


def chosen(count: int) -> list[str]:
    """Return names of submissions: the reference, then right ones and wrong ones in turn."""
    known = [name for name in SUBMISSIONS if name not in unrecorded()]
    right = [name for name in known if not SUBMISSIONS[name].loses]
    wrong = [name for name in known if SUBMISSIONS[name].loses]
    turns = [name for pair in zip(right, wrong, strict=False) for name in pair]
    return [*turns, *(name for name in known if name not in turns)][:count]


@contextlib.contextmanager
def handed_in(names: Sequence[str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Write the submissions as notebooks, each under a name that nobody had; yield the folder, and who has which."""
    mark = f"bench-{secrets.token_hex(4)}"
    students = {f"{mark}-{place:03}": name for place, name in enumerate(names)}
    before = set((STATE / "evidence").glob("*.json"))
    with tempfile.TemporaryDirectory(prefix="course-class-") as folder:
        for student, name in students.items():
            path = Path(folder) / "submitted" / student / f"{ASSIGNMENT}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(SUBMISSIONS[name].notebook()))
        try:
            yield Path(folder), students
        finally:
            for path in set((STATE / "evidence").glob("*.json")) - before:
                if mark in str(json.loads(path.read_bytes()).get("student")):
                    path.unlink()


def stock(count: int) -> Sample:
    """Grade by nbgrader with stock commands, one submission after the other; the release is made before the clock."""
    with handed_in(chosen(count)) as (folder, students):
        (folder / "course").mkdir()
        course = CourseFolder.make(folder / "course", SOURCE / ASSIGNMENT)
        for student in students:
            course.submit(student, folder / "submitted" / student)
        before = os.environ.get("COURSE_WARM")
        os.environ["COURSE_WARM"] = "0"
        try:
            began = time.monotonic()
            rows = course.run(list(students))
            seconds = time.monotonic() - began
        finally:
            os.environ.pop("COURSE_WARM") if before is None else os.environ.update(COURSE_WARM=before)
        if unchecked := [student for student in students if any(row["needs_manual_grade"] for row in rows[student])]:
            raise CourseError(f"nbgrader's cells could not check {', '.join(unchecked)}.")
        checks = {one.grade_id: one.id for one in load().checks}
        points = {
            name: {checks[row["grade_id"]]: row["score"] for row in rows[student]} for student, name in students.items()
        }
        return Sample({"class": seconds}, {"a submission": seconds / count}, points)


def ours(count: int, *options: str, name: str = "class") -> Sample:
    """Grade by `course grade`, its start counted."""
    with handed_in(chosen(count)) as (folder, students):
        began = time.monotonic()
        records = grade(folder, *options)
        seconds = time.monotonic() - began
        points = {
            students[one["student"]]: {check["id"]: check["earned"] for check in one["checks"]} for one in records
        }
        return Sample({name: seconds}, {"a submission": seconds / count}, points)


def grade(folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run `course grade` on a folder's submitted/, and return the records.

    Raises
    ------
    CourseError
        When it failed.
    """
    result = folder / "records.json"
    argv = [sys.executable, "-m", "autograder", "grade", "--submissions", str(folder / "submitted"),
            "--into", str(folder), "--json", str(result), *options]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CourseError(f"course grade failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    records: list[dict[str, Any]] = json.loads(result.read_text())
    return records


def size(count: int) -> float:
    """Return the seconds that one submission of a synthetic class costs, its start apart."""
    mark = secrets.token_hex(4)
    with tempfile.TemporaryDirectory(prefix="course-class-") as place:
        folder = Path(place)
        (folder / "submitted").mkdir()
        for number in range(count):
            student = f"bench-{mark}-{number:03}"
            cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": QUICK.format(student=student)}]
            path = folder / "submitted" / f"{student}.ipynb"
            path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}))
        grade(folder)
        written = sorted(path.stat().st_mtime for path in (folder / "evidence").glob("*.json"))
    for path in (STATE / "evidence").glob("*.json"):
        if mark in path.read_text():
            path.unlink()
    return (written[-1] - written[0]) / (len(written) - 1)


def flat() -> Figure:
    """Compare what a submission costs in a small class and in a large one."""
    small, large = map(size, SIZES)
    return Figure("class-size", small, large, runs=1)


def memory() -> Figure:
    """Compare peak memory: nbgrader's on one submission, and ours on two at once, for each of the two."""
    with Peak() as alone:
        stock(1)
    with Peak() as both:
        ours(2, "-j", "2")
    return Figure("class-memory", alone.megabytes, both.megabytes / 2, runs=1, unit="mb")
