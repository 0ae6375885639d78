"""Does each situation read as it should? The texts are in golden/, one file each."""

from dataclasses import replace
from pathlib import Path

import pytest

from autograder.checks.feedback import (
    HEAD,
    NOTEBOOK,
    TAIL,
    TERMINAL,
    WIDTH,
    render,
    render_hidden,
    render_hint,
    summary,
)
from autograder.checks.verdict import Outcome, Verdict
from autograder.manifest import Chapter, Check, Course, Tier

GOLDEN = Path(__file__).parent / "golden"

CHAPTER = Chapter("05", "notebooks/05_backfills.ipynb", "Backfills", 60)
ORDER = Check(
    "minimum.task-order", "minimum", 6, "The tasks run in order.", "The tasks, as Airflow stored them.", CHAPTER,
    ("What waits for what?", "See the chapter on the order of tasks, and look at " + "it closely " * 10, "Use >>."),
)  # fmt: skip
ROWS = Check("target.rows", "target", 4, "Each month has its own rows.", "The table.", CHAPTER, ("a", "b", "c"))
LATER = Check(
    "target.report", "target", 2, "The report is right.", "The report.", CHAPTER, ("a", "b", "c"), "REPORT.md",
    visible=False,
)  # fmt: skip
LONG_LOG = "\n".join(f"line {number}" for number in range(1, 31))
COURSE = Course(
    "A course", "homework", (CHAPTER,), (Tier("minimum", "Minimum"), Tier("target", "Target")), (ORDER, ROWS), 6
)


def verdict(
    outcome: Outcome,
    *,
    check: Check = ORDER,
    expected: str = "",
    seen: str = "",
    cause: str | None = None,
    message: str = "",
) -> Verdict:
    earned = check.points if outcome == "pass" else 0
    return Verdict(check.id, check.points, earned, outcome, expected, seen, cause, message)


NOT_YET = verdict(
    "not_yet",
    expected="ingest_taxi_month → dbt_run → dbt_test",
    seen="dbt_run → ingest_taxi_month\n  dbt_test waits for nothing",
    cause="The arrow points the other way.",
    message="dbt_run does not wait for ingest_taxi_month, so it can start before there is anything to work on, "
    "and dbt_test can too.",
)

SITUATIONS = {
    "pass": render(verdict("pass", seen="ingest_taxi_month → dbt_run → dbt_test"), ORDER, NOTEBOOK),
    "not_yet_notebook": render(NOT_YET, ORDER, NOTEBOOK),
    "not_yet_terminal": render(NOT_YET, ORDER, TERMINAL),
    "waiting": render(verdict("waiting", message="Waits for minimum.dag-loads."), ORDER, NOTEBOOK),
    "could_not_check": render(verdict("could_not_check", message="Postgres did not start."), ORDER, NOTEBOOK),
    "first_hint": render_hint(ORDER, 1, NOTEBOOK),
    "second_hint": render_hint(ORDER, 2, TERMINAL),
    "last_hint": render_hint(ORDER, 3, NOTEBOOK),
    "summary": summary([verdict("pass"), verdict("not_yet", check=ROWS)], COURSE, TERMINAL),
    "summary_of_a_part": summary([verdict("pass")], COURSE, TERMINAL, [ORDER]),
    "summary_before_grading": summary([verdict("pass")], COURSE, TERMINAL),
    "at_grading": render_hidden(LATER, NOTEBOOK),
    "not_yet_at_grading": render(verdict("not_yet", check=LATER, expected="4", seen="3"), LATER, TERMINAL),
    "log": render(
        replace(verdict("not_yet"), where="DAG taxi_pipeline, 2024-05", log="Log of dbt_run:\n" + LONG_LOG),
        ORDER,
        TERMINAL,
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_text_is_the_golden_one(situation: str) -> None:
    assert SITUATIONS[situation] + "\n" == (GOLDEN / f"{situation}.txt").read_text(encoding="utf-8")


def test_every_golden_text_has_a_situation() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(SITUATIONS)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_line_is_too_long(situation: str) -> None:
    assert all(len(line) <= WIDTH for line in SITUATIONS[situation].splitlines())


def test_an_address_is_never_broken() -> None:
    address = "http://127.0.0.1:43521/trip-data/" + "very-" * 20 + "long.parquet"
    assert address in render(verdict("not_yet", seen=f"asked for {address} three times"), ORDER, NOTEBOOK)


def test_a_long_text_keeps_its_ends_and_says_what_is_left_out() -> None:
    text = render(verdict("not_yet", seen="x" * HEAD + "y" * 2345 + "z" * TAIL), ORDER, NOTEBOOK)
    assert "[… 2,345 characters left out …]" in text
    assert "x" * HEAD in text
    assert "z" * TAIL in text
    assert "y" * 10 not in text


@pytest.mark.parametrize("number", [-1, 0, 4, 100])
def test_a_hint_that_is_not_there_gives_the_nearest(number: int) -> None:
    assert render_hint(ORDER, number, NOTEBOOK) == render_hint(ORDER, 1 if number < 1 else 3, NOTEBOOK)
