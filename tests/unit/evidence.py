"""Synthetic evidence: what `autograder.observe.evidence` would write down of a perfect submission.

Contract: `perfect()` returns a document of its own at each call, for a test to spoil. Its shape is the real one's:
tests/integration/test_observe.py compares the two.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from autograder.checks.rules import DAG_ID, TASKS
from autograder.observe.evidence import SCENARIOS

Evidence = dict[str, Any]

STUDENT = "ada"
MONTHS = tuple(f"2024-{month:02}" for month in range(1, 8))
IN_MONTH = {month: 1900 + 10 * place for place, month in enumerate(MONTHS)}
STRAYS = 5
"""Rows of each file that it dates in other months."""

PRACTISED = {month: 2000 - 7 * place for place, month in enumerate(MONTHS)}
OTHER = "2024-05"
UNPUBLISHED = "2030-01"

RUN_TAKES = timedelta(seconds=3)
BEGIN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
SECOND_BACKFILL = BEGIN + timedelta(minutes=1)

RUNBOOK = """\
# Runbook

## Trigger a run

One month, in any state of the table:

    airflow dags trigger taxi_pipeline --logical-date 2024-03-15

## Backfill

Seven months, one after another:

    airflow backfill create --dag-id taxi_pipeline --from-date 2024-01-01 --to-date 2024-07-31

## Logs

The first red task of the grid, read from the bottom up.

## Likely failures

Not published: wait. No connection: define azure_pg. A failed dbt test: read which, and tell the owner.
"""
REPORT = "# Report\n\n| Month | Before | After |\n|---|---:|---:|\n" + "".join(
    f"| {month} | {rows:,} | {rows:,} |\n" for month, rows in PRACTISED.items()
)


def perfect() -> Evidence:
    """Return the evidence on a submission that passes every check."""
    one = {"2024-01": IN_MONTH["2024-01"]}
    two = one | {OTHER: IN_MONTH[OTHER]}
    return {
        "version": 2,
        "student": STUDENT,
        "digest": "0" * 32,
        "dag_id": DAG_ID,
        "files": {
            "dags": [f"{DAG_ID}.py"],
            "RUNBOOK.md": RUNBOOK,
            "ASSIGNMENT_REPORT.md": REPORT,
            "tests": [f"test_{DAG_ID}.py"],
            "unread": [],
        },
        "parsed": parsed(DAG_ID),
        "source": {month: {"rows": rows + STRAYS, "in_month": rows} for month, rows in IN_MONTH.items()},
        "practice": dict(PRACTISED),
        "january": scenario("2024-01", one),
        "other_month": {**scenario(OTHER, two), "before": tables(one)},
        "busy_source": _busy(),
        "unpublished": _failing(UNPUBLISHED, [request(UNPUBLISHED, 403)], two),
        "damaged": _failing("2024-02", [request("2024-02")], two),
        "failing_tests": _failing("2024-03", [request("2024-03")], two, task=TASKS[2]),
        "backfill": _backfill(MONTHS, BEGIN),
        "backfill_again": _backfill(MONTHS, SECOND_BACKFILL),
        "cut_load": _cut_load(),
        "manual_run": _manual(),
        "runbook": {
            "trigger": command("airflow dags trigger taxi_pipeline --logical-date 2024-03-15", runs=1),
            "backfill": {
                **command("airflow backfill create --dag-id taxi_pipeline --from-date 2024-01-01", runs=len(MONTHS)),
                "dates": [f"{month}-01T00:00:00Z" for month in MONTHS],
            },
        },
        "own_tests": {
            "own": {"code": 0, "passed": 9, "failed": 0, "errors": 0, "output": "9 passed in 2.10s"},
            "bugs": {f"bug_{number}": found() for number in range(1, 7)},
        },
        "shared": _shared(),
        "seconds": dict.fromkeys(("start", "airflow", *SCENARIOS), 1.0),
    }


def command(text: str, *, runs: int) -> dict[str, Any]:
    """Return what a command of the runbook did."""
    return {"command": text, "code": 0, "output": "", "runs": runs, "paused": False}


def found() -> dict[str, Any]:
    """Return what the student's tests did on a version with a mistake that they find."""
    return {"code": 1, "passed": 8, "failed": 1, "errors": 0}


def tables(months: dict[str, int] = IN_MONTH) -> dict[str, Any]:
    """Return both tables as they are after a right load of these months."""
    return {name: table(months) for name in ("raw_trips", "fct_trips")}


def table(months: dict[str, int], content: str = "the trips") -> dict[str, Any]:
    """Return a table's description: its rows by month; tables of equal months and content are equal."""
    return {"rows": sum(months.values()), "months": dict(months), "digest": f"{content} {sorted(months.items())}"}


def request(month: str, status: int = 200, method: str = "GET") -> dict[str, Any]:
    """Return a line of the source's access log."""
    return {
        "time": BEGIN.isoformat(),
        "method": method,
        "path": f"/trip-data/green_tripdata_{month}.parquet",
        "status": status,
        "bytes": 50_000,
        "range": None,
        "user_agent": "python-httpx/0.28.1",
    }


def notification() -> dict[str, Any]:
    """Return what reached the connection `notify`."""
    return {"time": BEGIN.isoformat(), "method": "POST", "path": "/", "body": '{"text": "a run has failed"}'}


def built(application: str = "dbt") -> list[dict[str, Any]]:
    """Return what was made in the schema, by which application."""
    return [
        {"relation": "stg_trips", "command": "CREATE VIEW", "application_name": "dbt"},
        {"relation": "fct_trips", "command": "CREATE TABLE AS", "application_name": application},
    ]


def run(month: str, begin: datetime, run_type: str = "manual") -> dict[str, Any]:
    """Return a green run of a month that began then."""
    return {
        "run_id": f"{run_type}__{month}-01T00:00:00+00:00",
        "run_type": run_type,
        "logical_date": f"{month}-01T00:00:00Z",
        "state": "success",
        "start": begin.isoformat(),
        "end": (begin + RUN_TAKES).isoformat(),
        "tasks": [
            {
                "task_id": task,
                "state": "success",
                "try_number": 1,
                "tries": 1,
                "start": begin.isoformat(),
                "end": (begin + RUN_TAKES).isoformat(),
                "log": None,
            }
            for task in TASKS
        ],
    }


def fail(run: dict[str, Any], task_id: str, log: str) -> None:
    """Let a task of a run fail, and with it the run; the tasks after it don't start."""
    run["state"] = "failed"
    place = TASKS.index(task_id)
    for task in run["tasks"]:
        if task["task_id"] == task_id:
            task |= {"state": "failed", "try_number": 3, "tries": 3, "log": log}
        elif TASKS.index(task["task_id"]) > place:
            task |= {"state": "upstream_failed", "tries": 0}  # Airflow gives it times all the same


def scenario(month: str, months: dict[str, int]) -> Evidence:
    """Return what a green run of a month left, these months in the tables."""
    return {
        "month": month,
        "runs": [run(month, BEGIN)],
        "tables": tables(months),
        "requests": [request(month)],
        "notifications": [],
        "in_time": True,
        "refused": None,
        "dbt": built(),
    }


def parsed(dag_id: str) -> Evidence:
    """Return what Airflow made of a file with one DAG."""
    return {
        "import_errors": [],
        "dags": {dag_id: _dag()},
        "seconds": 0.4,
        "contacts": {"source": [], "hosts": [], "warehouse": 0, "metadata": 0},
    }


def _dag() -> dict[str, Any]:
    following = {task: [after] for task, after in pairwise(TASKS)}
    tasks = {
        task: {
            "operator": "@task" if task == TASKS[0] else "BashOperator",
            "downstream": following.get(task, []),
            "retries": 2.0,
            "retry_delay": 300,
            "trigger_rule": "all_success",
        }
        for task in TASKS
    }
    return {
        "file": f"{DAG_ID}.py",
        "schedule": "0 0 1 * *",
        "start_date": "2024-01-01T00:00:00Z",
        "catchup": False,
        "max_active_runs": 1,
        "tags": [f"student:{STUDENT}", "taxi"],
        "callbacks": ["failed"],
        "tasks": tasks,
    }


def _busy() -> Evidence:
    busy = scenario("2024-04", {"2024-04": IN_MONTH["2024-04"]})
    busy["requests"] = [request("2024-04", 503), request("2024-04", 503), request("2024-04")]
    busy["runs"][0]["tasks"][0] |= {"try_number": 3, "tries": 3}
    return busy


def _failing(month: str, requests: list[dict[str, Any]], months: dict[str, int], task: str = TASKS[0]) -> Evidence:
    failing = scenario(month, months)
    fail(failing["runs"][0], task, f"07:00:02 error   Task failed: nothing to be done about {month}")
    return {
        **failing,
        "before": tables(months),
        "requests": requests,
        "notifications": [notification()],
        "dbt": built() if task == TASKS[2] else [],
    }


def _backfill(months: tuple[str, ...], begin: datetime) -> Evidence:
    return {
        **scenario(months[0], IN_MONTH),
        "month": None,
        "runs": [run(month, begin + place * RUN_TAKES, "backfill") for place, month in enumerate(months)],
        "requests": [request(month) for month in months],
    }


def _cut_load() -> Evidence:
    document = {**_backfill(("2024-03",), SECOND_BACKFILL), "month": "2024-03", "before": tables()}
    fail(document["runs"][0], TASKS[0], "07:02:01 error   AdminShutdown: terminating connection")
    document["notifications"] = [notification()]
    return {**document, "dbt": [], "cut_at": 150}


def _manual() -> Evidence:
    month = f"{BEGIN:%Y-%m}"
    document = {**scenario(month, {month: 1234}), "month": None}
    document["runs"][0] |= {"run_id": f"manual__{BEGIN.isoformat()}", "logical_date": None}
    return document


def _shared() -> Evidence:
    dag_id = f"{STUDENT}_{DAG_ID}"
    others = {f"airflow_{name}": tables({"2024-01": 50}) for name in ("grace", "linus")}
    return {
        **scenario("2024-06", {"2024-06": IN_MONTH["2024-06"]}),
        "dag_id": dag_id,
        "parsed": parsed(dag_id),
        "others_before": others,
        "others_after": {name: tables({"2024-01": 50}) for name in others},
        "default_schema": {"raw_trips": None, "fct_trips": None},
    }
