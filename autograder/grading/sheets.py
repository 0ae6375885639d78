"""The points of a class as CSV: one sheet with everything, and the shapes that Moodle and Canvas import.

Contract: pure functions from records to text. A grade that is not known (a fault of ours) is an empty field, never a 0.
No field begins as a formula would in a spreadsheet.
"""

import csv
import io
from collections.abc import Sequence

from autograder.grading.records import Record
from autograder.manifest import Course

GRADES, MOODLE, CANVAS = "grades.csv", "grades.moodle.csv", "grades.canvas.csv"


def sheets(records: Sequence[Record], course: Course) -> dict[str, str]:
    """Return each sheet's text by its file name.

    Parameters
    ----------
    records
        Of all students.
    course
        The manifest.

    Returns
    -------
    dict
        `grades.csv`: student, outcome, score, a column per tier and per check. `grades.moodle.csv`: for Moodle's grade
        import, which maps `ID number` to the user, and the other columns to grade items and their feedback.
        `grades.canvas.csv`: for Canvas's gradebook import, with its five columns that name a student and its row of
        points possible; the other columns are the tiers, which Canvas adds up.
    """
    tiers = [tier.id for tier in course.tiers]
    checks = [check.id for check in course.checks]
    possible = {tier: sum(check.points for check in course.checks_of(tier)) for tier in tiers}
    rows: list[Sequence[object]] = [
        ("student", "outcome", "score", "max_score", *tiers, *checks, "submitted", "reason", "notes")
    ]
    name = course.assignment
    moodle: list[Sequence[object]] = [("ID number", name, *(f"{name} {tier}" for tier in tiers), f"{name} feedback")]
    columns = [f"{course.title}: {tier.title}" for tier in course.tiers]
    canvas: list[Sequence[object]] = [
        ("Student", "ID", "SIS User ID", "SIS Login ID", "Section", *columns),
        ("    Points Possible", "", "", "", "", *possible.values()),
    ]
    for record in records:
        student, score = record["student"], record["score"]
        earned = [record["tiers"][tier]["earned"] if tier in record["tiers"] else None for tier in tiers]
        known = {one["id"]: None if one["verdict"] == "could_not_check" else one["earned"] for one in record["checks"]}
        notes = " ".join(record["notes"])
        rows.append((student, record["outcome"], score, record["max_score"], *earned, *map(known.get, checks),
                     record["submitted"], record["reason"], notes))  # fmt: skip
        lost = ", ".join(name for name, points in known.items() if points == 0)
        feedback = record["reason"] or (f"Not yet: {lost}" if lost else "All checks pass.")
        moodle.append((student, score, *earned, feedback))
        canvas.append((student, "", student, student, "", *earned))
    return {GRADES: _csv(rows), MOODLE: _csv(moodle), CANVAS: _csv(canvas)}


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_field(value) for value in row] for row in rows)
    return text.getvalue()


def _field(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
