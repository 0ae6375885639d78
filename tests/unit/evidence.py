"""Synthetic evidence: what `autograder.observe.evidence` would write down of a perfect submission.

Contract: `perfect()` returns a document of its own at each call, for a test to spoil. Its shape is the real one's:
tests/integration/test_observe.py compares the two.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from autograder.checks.rules import DAG_ID, TASKS

Evidence = dict[str, Any]

MONTHS = tuple(f"2024-{month:02}" for month in range(1, 8))
IN_MONTH = {month: 1900 + 10 * place for place, month in enumerate(MONTHS)}
STRAYS = 5
"""Rows of each file that it dates in other months."""

RUN_TAKES = timedelta(seconds=3)
FIRST_BACKFILL = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
SECOND_BACKFILL = FIRST_BACKFILL + timedelta(minutes=1)
CUT = FIRST_BACKFILL + timedelta(minutes=2)


def perfect() -> Evidence:
    """Return the evidence on a submission that passes every check."""
    return {
        "version": 1,
        "student": "ada",
        "digest": "0" * 32,
        "parsed": {"import_errors": [], "dags": {DAG_ID: _dag()}},
        "source": {month: {"rows": rows + STRAYS, "in_month": rows} for month, rows in IN_MONTH.items()},
        "backfill": _backfill(MONTHS, FIRST_BACKFILL),
        "backfill_again": _backfill(MONTHS, SECOND_BACKFILL),
        "cut_load": {"month": "2024-03", "before": tables(), **_cut_load()},
        "seconds": {"start": 1.0, "parse": 1.0, "backfill": 1.0, "backfill_again": 1.0, "cut_load": 1.0},
    }


def tables() -> dict[str, Any]:
    """Return both tables as they are after a right load."""
    return {name: table(IN_MONTH) for name in ("raw_trips", "fct_trips")}


def table(months: dict[str, int], content: str = "the trips") -> dict[str, Any]:
    """Return a table's description: its rows by month; tables of equal months and content are equal."""
    return {"rows": sum(months.values()), "months": dict(months), "digest": f"{content} {sorted(months.items())}"}


def request(month: str, status: int = 200, method: str = "GET") -> dict[str, Any]:
    """Return a line of the source's access log."""
    return {
        "time": FIRST_BACKFILL.isoformat(),
        "method": method,
        "path": f"/trip-data/green_tripdata_{month}.parquet",
        "status": status,
        "bytes": 50_000,
        "range": None,
        "user_agent": "python-httpx/0.28.1",
    }


def fail(run: dict[str, Any], task_id: str, log: str) -> None:
    """Let a task of a run fail, and with it the run; the tasks after it don't start."""
    run["state"] = "failed"
    place = TASKS.index(task_id)
    for task in run["tasks"]:
        if task["task_id"] == task_id:
            task |= {"state": "failed", "try_number": 3, "log": log}
        elif TASKS.index(task["task_id"]) > place:
            task |= {"state": "upstream_failed", "start": None, "end": None}


def _dag() -> dict[str, Any]:
    following = {task: [after] for task, after in pairwise(TASKS)}
    tasks = {
        task: {
            "operator": "@task" if task == TASKS[0] else "BashOperator",
            "downstream": following.get(task, []),
            "retries": 2.0,
            "retry_delay": 300,
        }
        for task in TASKS
    }
    return {
        "file": f"{DAG_ID}.py",
        "schedule": "0 0 1 * *",
        "start_date": "2024-01-01T00:00:00Z",
        "catchup": False,
        "max_active_runs": 1,
        "tags": ["student:ada", "taxi"],
        "tasks": tasks,
    }


def _backfill(months: tuple[str, ...], begin: datetime) -> dict[str, Any]:
    # The DAG's own scheduled run, which unpausing it makes, asks for the current month, and is refused.
    asked = [request(f"{begin:%Y-%m}", 403)] if begin == FIRST_BACKFILL else []
    return {
        "runs": [run(month, begin + place * RUN_TAKES) for place, month in enumerate(months)],
        "tables": tables(),
        "requests": asked + [request(month) for month in months],
        "in_time": True,
        "refused": None,
    }


def _cut_load() -> dict[str, Any]:
    document = _backfill(("2024-03",), CUT)
    fail(document["runs"][0], TASKS[0], "07:02:01 error   AdminShutdown: terminating connection")
    return document


def run(month: str, begin: datetime) -> dict[str, Any]:
    """Return a green run of a month that began then."""
    return {
        "run_id": f"backfill__{month}-01T00:00:00+00:00",
        "run_type": "backfill",
        "logical_date": f"{month}-01T00:00:00Z",
        "state": "success",
        "start": begin.isoformat(),
        "end": (begin + RUN_TAKES).isoformat(),
        "tasks": [
            {
                "task_id": task,
                "state": "success",
                "try_number": 1,
                "start": begin.isoformat(),
                "end": (begin + RUN_TAKES).isoformat(),
                "log": None,
            }
            for task in TASKS
        ],
    }
