"""Airflow's run history as a witness: what was parsed, which runs there were, and how each ended.

Contract: plain records for the evidence, taken from the REST API: only what checks look at, with Airflow's
own words for states and types.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograder.airflow_api import ENDED, AirflowApi, Record

POLL = 0.2
"""Seconds between two looks at runs that are under way."""


def parsed(api: AirflowApi) -> dict[str, Any]:
    """Describe the DAGs that Airflow has stored, and the files that it could not import."""
    errors = [{"file": Path(error["filename"]).name, "text": error["stack_trace"]} for error in api.import_errors()]
    return {"import_errors": errors, "dags": {dag["dag_id"]: _dag(api, dag["dag_id"]) for dag in api.dags()}}


def _dag(api: AirflowApi, dag_id: str) -> dict[str, Any]:
    details = api.details(dag_id)
    tasks = {
        task["task_id"]: {
            "operator": task["operator_name"],
            "downstream": sorted(task["downstream_task_ids"]),
            "retries": task["retries"],
            "retry_delay": _seconds(task["retry_delay"]),
        }
        for task in api.task_settings(dag_id)
    }
    return {
        "file": Path(details["fileloc"]).name,
        "schedule": details["timetable_summary"],
        "start_date": details["start_date"],
        "catchup": details["catchup"],
        "max_active_runs": details["max_active_runs"],
        "tags": sorted(tag["name"] for tag in details["tags"]),
        "tasks": tasks,
    }


def _seconds(delta: dict[str, Any] | None) -> float | None:
    return None if delta is None else 86400 * delta["days"] + delta["seconds"]


def backfill_runs(api: AirflowApi, dag_id: str, months: list[str]) -> list[dict[str, Any]]:
    """Return the backfill's runs of these months, with their task instances, oldest logical date first."""
    runs = [_run(run, []) for run in _of_months(api, dag_id, months)]
    tasks = api.task_instances(dag_id)
    for run in runs:
        run["tasks"] = [
            {
                "task_id": task["task_id"],
                "state": task["state"],
                "try_number": task["try_number"],
                "start": task["start_date"],
                "end": task["end_date"],
                "log": api.log_text(task) if task["state"] == "failed" else None,
            }
            for task in tasks
            if task["dag_run_id"] == run["run_id"]
        ]
    return sorted(runs, key=lambda run: str(run["logical_date"]))


def _of_months(api: AirflowApi, dag_id: str, months: list[str]) -> list[Record]:
    runs = api.runs(dag_id)
    return [run for run in runs if run["run_type"] == "backfill" and (run["logical_date"] or "")[:7] in months]


def _run(run: Record, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "run_id": run["dag_run_id"],
        "run_type": run["run_type"],
        "logical_date": run["logical_date"],
        "state": run["state"],
        "start": run["start_date"],
        "end": run["end_date"],
        "tasks": tasks,
    }


def wait_for_backfill(
    api: AirflowApi, dag_id: str, months: list[str], *, limit: float, told: Callable[[int, int], None]
) -> bool:
    """Wait until the backfill's runs of these months have ended.

    Parameters
    ----------
    api
        The Airflow.
    dag_id, months
        Which runs.
    limit
        Seconds to wait at most.
    told
        Called with how many have ended, of how many, whenever that changes.

    Returns
    -------
    bool
        Whether they ended in time; the backfill is closed then, so that another may follow.
    """
    deadline = time.monotonic() + limit
    last = -1
    while True:
        runs = _of_months(api, dag_id, months)
        ended = sum(run["state"] in ENDED for run in runs)
        if ended != last:
            told(ended, len(months))
            last = ended
        if ended == len(runs) and runs:
            break
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    backfill = api.latest_backfill(dag_id)
    if backfill and backfill["completed_at"] is None:
        api.close_backfill(backfill["id"])
    return True
