"""What checks read from evidence: the DAG that is judged, its tasks, runs, requests and rows.

Contract: plain look-ups that judge nothing. A key that the evidence lacks raises KeyError, which is our fault.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from autograder.checks.rules import TABLES, TASKS, Evidence

SERVED = (200, 206)
BEGAN = ("running", "success", "failed", "up_for_retry", "up_for_reschedule", "deferred", "restarting")


def dag(evidence: Evidence) -> dict[str, Any]:
    """Return the settings and tasks of the DAG that is judged."""
    found: dict[str, Any] = evidence["parsed"]["dags"][evidence["dag_id"]]
    return found


def named(task_id: str, name: str) -> bool:
    """Return whether a task is called so; in a task group its id has the group's before it."""
    return task_id == name or task_id.endswith(f".{name}")


def task_ids(tasks: Iterable[str]) -> dict[str, str]:
    """Return the id of each task of the pipeline that is among `tasks`, by its name."""
    found = {}
    for name in TASKS:
        ids = [task_id for task_id in tasks if named(task_id, name)]
        if ids:
            found[name] = min(ids, key=len)
    return found


def only_run(scenario: Evidence) -> dict[str, Any]:
    """Return the one run that a scenario made.

    Raises
    ------
    LookupError
        When there is none, or more than one.
    """
    if len(scenario["runs"]) != 1:
        raise LookupError(f"{len(scenario['runs'])} runs")
    run: dict[str, Any] = scenario["runs"][0]
    return run


def instances(run: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a run's task instances of one task of the pipeline; a mapped task has several."""
    return [task for task in run["tasks"] if named(task["task_id"], name)]


def state(run: dict[str, Any], name: str) -> str | None:
    """Return the state of one task of the pipeline in a run: of a mapped task the worst."""
    states = [task["state"] for task in instances(run, name)]
    return next((one for one in states if one != "success"), states[0] if states else None)


def ran(run: dict[str, Any], name: str) -> bool:
    """Return whether a task of the pipeline began its work; one that only waited has times of its own, too."""
    return any(task["state"] in BEGAN for task in instances(run, name))


def green(run: dict[str, Any]) -> bool:
    """Return whether a run and its three tasks ended in success."""
    return bool(run["state"] == "success" and all(state(run, name) == "success" for name in TASKS))


def file_of(month: str) -> str:
    """Return the path of a month's file at the source."""
    return f"/trip-data/green_tripdata_{month}.parquet"


def asked(requests: Iterable[dict[str, Any]], statuses: tuple[int, ...] | None = None) -> Iterator[str]:
    """Give the month of each file that was asked for, where the answer had one of these statuses."""
    for request in requests:
        match = re.search(r"green_tripdata_(\d{4}-\d{2})\.parquet", request["path"])
        if match and (statuses is None or (request["method"] == "GET" and request["status"] in statuses)):
            yield match[1]


def served(scenario: Evidence, month: str) -> bool:
    """Return whether the source served a month's file during a scenario."""
    return month in asked(scenario["requests"], SERVED)


def months_near(moment: str) -> set[str]:
    """Return the month of a moment (ISO 8601) and the three before it: what "this month" can mean to a program."""
    at = datetime.fromisoformat(moment)
    last = 12 * at.year + at.month - 1
    return {f"{number // 12}-{number % 12 + 1:02}" for number in range(last - 3, last + 1)}


def rows(table: dict[str, Any] | None, month: str) -> int:
    """Return how many rows of a month a table has."""
    return 0 if table is None else int(table["months"].get(month, 0))


def strays(evidence: Evidence, *months: str) -> int:
    """Return how many rows these months' files date in other months."""
    return sum(evidence["source"][month]["rows"] - evidence["source"][month]["in_month"] for month in months)


def unchanged(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether both tables hold what they held; one that was not there may be there and empty."""
    return all(
        (after[name] or {"rows": 0})["rows"] == 0
        if not (before[name] or {"rows": 0})["rows"]
        else after[name] is not None and after[name]["digest"] == before[name]["digest"]
        for name in TABLES
    )


def content(tables: dict[str, Any] | None, name: str) -> str | None:
    """Return what names a table's content; None where there is no such table."""
    table = None if tables is None else tables[name]
    return None if table is None else str(table["digest"])


def logs(scenario: Evidence) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give each failed task instance that has a log, with its run, in the pipeline's order."""
    for run in scenario["runs"]:
        for task in in_order(run["tasks"]):
            if task["log"]:
                yield run, task


def in_order(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return task instances in the pipeline's order, tasks of other names last."""

    def place(task: dict[str, Any]) -> int:
        return next((at for at, name in enumerate(TASKS) if named(task["task_id"], name)), len(TASKS))

    return sorted(tasks, key=place)
