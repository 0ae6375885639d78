"""Airflow's run history as a witness: which runs there were, and how each ended.

Contract: plain records for the evidence, taken from the REST API: only what checks look at, with Airflow's
own words for states and types.
"""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from autograder.airflow_api import ENDED, AirflowApi, Record

POLL = 0.2
"""Seconds between two looks at runs that are under way."""

Wanted = Callable[[Record], bool]
"""Says whether a run is one of those that are looked at."""

Tries = Mapping[tuple[str, str, int], int]
"""How often each task instance was tried, by run id, task id and map index."""


def of_backfill(months: list[str]) -> Wanted:
    """Return what picks the runs of these months that a backfill made."""
    return lambda run: run["run_type"] == "backfill" and (run["logical_date"] or "")[:7] in months


def tries(api: AirflowApi, dag_id: str) -> dict[tuple[str, str, int], int]:
    """Return how often each task instance was tried so far."""
    return {_key(task): task["try_number"] for task in api.task_instances(dag_id)}


def _key(task: Record) -> tuple[str, str, int]:
    return task["dag_run_id"], task["task_id"], task["map_index"]


def runs(api: AirflowApi, dag_id: str, wanted: Wanted, before: Tries = MappingProxyType({})) -> list[dict[str, Any]]:
    """Return runs with their task instances, oldest logical date first.

    Parameters
    ----------
    api, dag_id
        Where to look.
    wanted
        Which runs.
    before
        The tries that were made before what is looked at began.
    """
    found = [_run(run) for run in api.runs(dag_id) if wanted(run)]
    tasks = api.task_instances(dag_id)
    for run in found:
        run["tasks"] = [
            _task(api, task, task["try_number"] - before.get(_key(task), 0))
            for task in tasks
            if task["dag_run_id"] == run["run_id"]
        ]
    return sorted(found, key=lambda run: str(run["logical_date"]))


def _task(api: AirflowApi, task: Record, tries: int) -> dict[str, Any]:
    return {
        "task_id": task["task_id"],
        "state": task["state"],
        "try_number": task["try_number"],
        "tries": tries,
        # Airflow gives one that it never began, such as after a failed one, the moment in which that was settled.
        "start": task["start_date"] if tries else None,
        "end": task["end_date"] if tries else None,
        "log": api.log_text(task) if task["state"] == "failed" else None,
    }


def _run(run: Record) -> dict[str, Any]:
    return {
        "run_id": run["dag_run_id"],
        "run_type": run["run_type"],
        "logical_date": run["logical_date"],
        "state": run["state"],
        "start": run["start_date"],
        "end": run["end_date"],
    }


def wait(
    api: AirflowApi, dag_id: str, wanted: Wanted, *, limit: float, told: Callable[[int, int], None] = lambda *_: None
) -> bool:
    """Wait until there are runs of those that are wanted, and all have ended.

    Parameters
    ----------
    api, dag_id, wanted
        Which runs.
    limit
        Seconds to wait at most.
    told
        Called with how many have ended, of how many, whenever that changes.

    Returns
    -------
    bool
        Whether they ended in time.
    """
    deadline = time.monotonic() + limit
    last = -1
    while True:
        found = [run for run in api.runs(dag_id) if wanted(run)]
        ended = sum(run["state"] in ENDED for run in found)
        if ended != last:
            told(ended, len(found))
            last = ended
        if found and ended == len(found):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
