"""Verdicts as a document for programs, and how far a student is, in words.

Contract: `document` is what `course judge --json` writes. Only visible checks are told of before grading; the others by
name, points and title.
"""

from collections.abc import Sequence
from typing import Any

from autograder.checks.verdict import Verdict
from autograder.manifest import Course


def document(student: str, verdicts: Sequence[Verdict], course: Course) -> dict[str, Any]:
    """Return verdicts with the points of each tier.

    Returns
    -------
    dict
        `student`, `score`, `max_score`, `passed` (whether the score is enough to pass); `tiers`: for each `score` and
        `max_score`; `checks`: for each verdict its fields; `at_grading`: the checks that were not run, with `id`,
        `points` and `title`. Points are those of the checks that were run.
    """
    run = {verdict.id: verdict for verdict in verdicts}
    tiers = {
        tier.id: {
            "score": sum(run[one.id].earned for one in course.checks_of(tier.id) if one.id in run),
            "max_score": sum(one.points for one in course.checks_of(tier.id) if one.id in run),
        }
        for tier in course.tiers
    }
    score = sum(tier["score"] for tier in tiers.values())
    return {
        "student": student,
        "score": score,
        "max_score": sum(tier["max_score"] for tier in tiers.values()),
        "passed": score >= course.pass_points,
        "tiers": tiers,
        "checks": [vars(verdict) for verdict in verdicts],
        "at_grading": [
            {"id": one.id, "points": one.points, "title": one.title} for one in course.checks if one.id not in run
        ],
    }


def progress(verdicts: Sequence[Verdict], course: Course) -> str:
    """Tell in a line how many checks of each tier pass, of those that were run: `Minimum 5/8 · Target 0/3`."""
    run = {verdict.id: verdict for verdict in verdicts}
    parts = []
    for tier in course.tiers:
        told = [run[one.id] for one in course.checks_of(tier.id) if one.id in run]
        if told:
            parts.append(f"{tier.title} {sum(one.verdict == 'pass' for one in told)}/{len(told)}")
    return " · ".join(parts)


def so_far(verdicts: Sequence[Verdict], course: Course) -> str:
    """Tell how many of the checks that were run pass, and how many more there are at grading."""
    passed, left = sum(one.verdict == "pass" for one in verdicts), len(course.checks) - len(verdicts)
    if not left:
        points = sum(one.earned for one in verdicts)
        enough = "enough" if points >= course.pass_points else "not enough"
        return f"{points} points; {enough} to pass, which takes {course.pass_points}."
    ours = " Ours is there to compare with: ./course solution" if passed == len(verdicts) else ""
    return f"{passed} of {len(verdicts)} visible checks pass; {left} more at grading.{ours}"
