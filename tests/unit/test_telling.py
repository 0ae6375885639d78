"""What `course grade` says of each student, and what the sheets have of them."""

import csv
import time
from typing import Any

import pytest

from autograder.grading import records
from autograder.grading.records import Seen, Work
from autograder.grading.sheets import CANVAS, GRADES, MOODLE, sheets
from autograder.grading.telling import Telling, line
from autograder.manifest import load
from tests import record

COURSE = load()


def made(student: str, seen: Seen, *notes: str) -> dict[str, Any]:
    return records.make(Work(student, "digest", None, list(notes)), seen, COURSE, COURSE.assignment)


def seen(name: str) -> Seen:
    return Seen("graded", None, record.read(name)["evidence"])


CLASS = [
    made("ada", seen("reference")),
    made("bob", seen("append"), "=cmd() was taken for the notebook."),
    made("cy", Seen("grader_fault", "Postgres did not start.")),
    made("di", Seen("timeout", "It did not end.")),
]


def test_a_line_tells_outcome_points_reason_and_repairs() -> None:
    assert [line(one) for one in CLASS] == [
        "[green]✓[/] graded  ada  100 of 100",
        f"[green]✓[/] graded  bob  {CLASS[1]['score']} of 100  1 note: =cmd() was taken for the notebook.",
        "[yellow]![/] grader fault  cy  Postgres did not start.",
        "[red]✗[/] timeout  di  0 of 100  It did not end.",
    ]


def test_a_line_does_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[2J[bold]\udcff\u202e\r\n.txt"
    with Telling() as telling:
        telling.told(made("ada", Seen("timeout", f"{name} is no notebook."), f"{name} was left out."), 0)
    told = "[bold] .txt is no notebook.  1 note: [bold] .txt was left out."
    assert capsys.readouterr().err == f"✗ timeout  ada  0 of 100  {told}\n"


def test_lines_outside_a_terminal_tell_how_many_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Telling() as telling:
        telling.told(CLASS[0], 2)
        telling.tick(2)
        telling.told(CLASS[2], 1)
        telling.told(CLASS[3], 0)
    assert capsys.readouterr().err.splitlines() == [
        "✓ graded  ada  100 of 100  (2 to go)",
        "2 to observe; what is graded is kept, whenever this is stopped.",
        "! grader fault  cy  Postgres did not start.  (1 to go, about a minute)",
        "✗ timeout  di  0 of 100  It did not end.",
    ]


def test_what_is_under_way_is_half_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    telling = Telling(jobs=2)
    telling.tick(4)
    now = 240.0
    telling.told(CLASS[0], 3)  # one, and half of two more, in 4 minutes: 2 are left
    now = 360.0
    telling.told(CLASS[0], 1)
    assert [one.partition("  (")[2] for one in capsys.readouterr().err.splitlines()[1:]] == [
        "3 to go, about 4 min)",
        "1 to go, about a minute)",
    ]


def test_who_stops_a_run_is_told_what_that_means(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        with Telling() as telling:
            telling.tick(2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert "The same command goes on from here" in capsys.readouterr().err


def test_a_fault_of_ours_has_no_points_and_every_other_outcome_has_some() -> None:
    assert [one["score"] for one in CLASS] == [100, CLASS[1]["score"], None, 0]
    assert CLASS[2]["tiers"]["minimum"] == {"earned": None, "possible": 60}
    assert CLASS[2]["checks"] == []
    assert {one["message"] for one in CLASS[3]["checks"]} == {"It did not end."}


def test_evidence_that_lacks_something_is_our_fault() -> None:
    evidence = {key: value for key, value in record.read("reference")["evidence"].items() if key != "backfill"}
    broken = made("ada", Seen("graded", None, evidence))
    assert (broken["outcome"], broken["score"]) == ("grader_fault", None)
    assert "could not check target.backfill-runs" in broken["reason"]


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(sheets(CLASS, COURSE)[name].splitlines()))


def test_the_sheet_of_grades_has_a_column_for_each_tier_and_check() -> None:
    ada, bob, cy, di = rows(GRADES)
    assert [ada[tier.id] for tier in COURSE.tiers] == ["60", "30", "10"]
    assert sum(float(bob[check.id]) for check in COURSE.checks) == float(bob["score"])
    assert (cy["score"], cy["minimum"], cy["minimum.dag-loads"]) == ("", "", "")
    assert (di["outcome"], di["score"], di["target"]) == ("timeout", "0", "0")


def test_moodle_and_canvas_get_their_columns_and_no_formula() -> None:
    moodle = rows(MOODLE)
    assert list(moodle[0])[:2] == ["ID number", COURSE.assignment]
    assert [one[COURSE.assignment] for one in moodle][2:] == ["", "0"]
    canvas = rows(CANVAS)
    assert list(canvas[0])[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert canvas[0]["Student"].strip() == "Points Possible"
    assert [float(value) for value in list(canvas[0].values())[5:]] == [60, 30, 10]
    assert rows(GRADES)[1]["notes"].startswith("'=cmd()")
