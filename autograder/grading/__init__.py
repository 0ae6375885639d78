"""Submissions to grades, by stock nbgrader.

Contract: `grade()` grades with nbgrader's converters and gradebook, untouched and configured by the clone's
nbgrader_config.py, in a course folder that stays for looking into. The points are the gradebook's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import CourseError
from autograder.grading.course_folder import CourseFolder, Row
from autograder.manifest import Course, load
from autograder.paths import SOURCE


@dataclass(frozen=True)
class CheckGrade:
    """The points that one check gave; `unchecked` where the checker failed, and a person is to grade it."""

    id: str
    tier: str
    score: float
    max_score: float
    unchecked: bool = False


@dataclass(frozen=True)
class Grade:
    """One student's grade.

    `tiers` has each tier's points, earned and possible; `feedback` is nbgrader's HTML for the student.
    """

    student: str
    score: float
    max_score: float
    tiers: dict[str, tuple[float, float]]
    checks: tuple[CheckGrade, ...]
    feedback: Path


def grade(
    submissions: Mapping[str, Path], folder: Path, *, source: Path | None = None, course: Course | None = None
) -> dict[str, Grade]:
    """Grade submissions.

    Parameters
    ----------
    submissions
        Each student's notebook, folder with the notebook, or project folder.
    folder
        Where the nbgrader course is made; it must not exist, or be empty.
    source
        The assignment's source folder; the clone's when not given.
    course
        The manifest; the clone's when not given.

    Raises
    ------
    CourseError
        When a submission cannot be laid out, or nbgrader fails; then the submissions that it could grade are
        in the gradebook of the folder.
    """
    course = course or load()
    for student in submissions:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", student):
            raise CourseError(
                f"{student!r} cannot be a student's name here.",
                todo="Use letters, digits, hyphens, underscores and dots.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CourseError(
            "There is something in the folder for grading already.", where=str(folder), todo="Name an empty folder."
        )
    made = CourseFolder.make(folder.resolve(), source or SOURCE / course.assignment)
    for student, submission in submissions.items():
        made.submit(student, submission)
    rows = made.run(list(submissions))
    return {student: _grade(student, made, rows[student], course) for student in submissions}


def _grade(student: str, made: CourseFolder, rows: Sequence[Row], course: Course) -> Grade:
    by_grade_id = {row["grade_id"]: row for row in rows}
    checks = []
    for check in course.checks:
        row = by_grade_id[check.grade_id]
        checks.append(CheckGrade(check.id, check.tier, row["score"], row["max_score"], row["needs_manual_grade"]))
    tiers = {
        tier.id: (
            sum(check.score for check in checks if check.tier == tier.id),
            sum(check.max_score for check in checks if check.tier == tier.id),
        )
        for tier in course.tiers
    }
    return Grade(
        student,
        sum(row["score"] for row in rows),
        sum(row["max_score"] for row in rows),
        tiers,
        tuple(checks),
        made.feedback(student),
    )
