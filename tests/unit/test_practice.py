"""The practice's checkers tell a student's own runs from those that chapter 5 has left."""

from typing import Any

import pytest

from autograder.airflow_api import AirflowApi, Record
from autograder.exercises import practice

MONTHS = [f"2024-{month:02}" for month in range(1, 8)]
CHAPTER_5, PRACTICE = "2026-11-20", "2026-11-25"


def run(run_id: str, date: str | None, began: str, made: str = "") -> Record:
    return {
        "dag_run_id": run_id,
        "logical_date": date and f"{date}T00:00:00Z",
        "run_after": f"{made or date}T10:00:00Z",
        "start_date": f"{began}T10:01:00Z",
        "end_date": f"{began}T10:02:00Z",
        "state": "success",
    }


def backfill(number: int, made: str) -> Record:
    dates = {"from_date": "2024-01-01T00:00:00Z", "to_date": "2024-07-01T00:00:00Z"}
    return {"id": number, **dates, "created_at": f"{made}T10:00:30Z", "max_active_runs": 1}


def backfilled(began: str) -> list[Record]:
    return [run(f"backfill__{month}-01", f"{month}-01", began) for month in MONTHS]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Record]]:
    """What chapter 5 leaves: a run without a date, and a backfill that was repeated."""
    found = {
        "runs": [run("manual__1", None, CHAPTER_5, CHAPTER_5), *backfilled(CHAPTER_5)],
        "backfills": [backfill(1, CHAPTER_5), backfill(2, CHAPTER_5)],
    }

    class Api:
        def runs(self, dag_id: str) -> list[Record]:
            return found["runs"]

        def backfills(self, dag_id: str) -> list[Record]:
            return found["backfills"]

    monkeypatch.setattr(AirflowApi, "from_environment", lambda: Api())
    monkeypatch.setattr(practice, "_rows", lambda month: (3, 3))
    monkeypatch.setattr(practice, "requests", lambda part: [])
    return found


@pytest.mark.parametrize(
    ("checker", "given", "said"),
    [
        (practice.february, [3], "You have triggered no run of February: backfill__2024-02-01"),
        (practice.seven_months, [21], "since exercise 2, and that one is not there yet"),
        (practice.without_a_date, ["2026-11", "run_after"], "since exercise 2, and that one is not there yet"),
    ],
)
def test_what_chapter_5_has_left_passes_nothing(
    there: dict[str, list[Record]], checker: Any, given: list[Any], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        checker(*given)


def test_a_run_of_ones_own_begins_the_practice(there: dict[str, list[Record]]) -> None:
    there["runs"].append(run("manual__2", "2024-02-15", PRACTICE, PRACTICE))
    assert str(practice.february(3)).startswith("3 trips")
    with pytest.raises(AssertionError, match=r"since then: none; before it: 2\."):
        practice.seven_months(21)
    with pytest.raises(AssertionError, match="no run without a logical date since exercise 2"):
        practice.without_a_date("2026-11", "run_after")


def test_a_backfill_that_repeats_nothing_is_told(there: dict[str, list[Record]]) -> None:
    there["runs"].append(run("manual__2", "2024-02-15", PRACTICE, PRACTICE))
    there["backfills"].append(backfill(3, PRACTICE))
    with pytest.raises(AssertionError, match="did not repeat the runs that were there before it: 2024-01, 2024-02"):
        practice.seven_months(21)
    there["runs"][1:8] = backfilled(PRACTICE)
    assert practice.seven_months(21) == "Seven runs, one after another, and 21 trips."


def test_a_run_of_ones_own_that_a_backfill_has_repeated_stays_ones_own(there: dict[str, list[Record]]) -> None:
    there["runs"][1:8] = backfilled(PRACTICE)
    there["runs"][2] = run("manual__2", "2024-02-01", PRACTICE, PRACTICE)
    there["backfills"].append(backfill(3, PRACTICE))
    assert str(practice.february(3)).startswith("3 trips")
    assert str(practice.seven_months(21)).startswith("Seven runs")
