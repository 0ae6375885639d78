"""The checks of the Minimum tier: the DAG loads, is set up right, and one month runs green."""

import re
from datetime import UTC, datetime
from itertools import pairwise

from autograder.checks.rules import DAG_ID, TASKS, Evidence, Finding, check, first_log, states_table

LATEST_START = datetime(2024, 1, 1, tzinfo=UTC)
MONTHLY = re.compile(r"\d+ \d+ \d+ \* \*")
"""A cron expression for one moment a month, which is also how Airflow writes `@monthly` back."""


@check("minimum.dag-loads")
def dag_loads(evidence: Evidence) -> Finding:
    """Look for the DAG among those that Airflow imported."""
    parsed = evidence["parsed"]
    expected = f"a DAG with the dag_id {DAG_ID}, and no import error"
    if errors := parsed["import_errors"]:
        error = errors[0]
        last = error["text"].strip().splitlines()[-1]
        if last.startswith("NotImplementedError"):
            message = f"{error['file']} is not written yet: it still raises NotImplementedError."
            return Finding(False, message, expected, last)
        return Finding(False, f"Airflow cannot import {error['file']}, so the DAG is missing.", expected, error["text"])
    found = sorted(parsed["dags"])
    if DAG_ID not in found:
        seen = f"DAGs with other names: {', '.join(found)}" if found else "no DAG in dags/"
        cause = None if found else "The function under @dag is not called at the end of the file."
        return Finding(False, f"There is no DAG called {DAG_ID}.", expected, seen, cause)
    return Finding(True, f"{parsed['dags'][DAG_ID]['file']} loads, and the DAG {DAG_ID} is in it.")


@check("minimum.schedule", needs=("minimum.dag-loads",))
def schedule(evidence: Evidence) -> Finding:
    """Look for a monthly run from January 2024, without catchup, and has a tag."""
    dag = evidence["parsed"]["dags"][DAG_ID]
    start = dag["start_date"]
    wrong = {
        "schedule": not MONTHLY.fullmatch(dag["schedule"] or ""),
        "start_date": start is None or datetime.fromisoformat(start) > LATEST_START,
        "catchup": dag["catchup"] is not False,
        "tags": not dag["tags"],
    }
    seen = "\n".join(f"{setting} = {dag[setting]}" for setting in wrong)
    if not any(wrong.values()):
        return Finding(True, "The DAG's schedule, start date, catchup and tags are set.", seen=seen)
    names = ", ".join(setting for setting, bad in wrong.items() if bad)
    expected = "schedule monthly, start_date no later than 2024-01-01, catchup = False, at least one tag"
    cause = None
    if wrong["schedule"] and dag["schedule"]:
        cause = "The files come once a month, but this schedule is another: most of its runs would find nothing new."
    return Finding(False, f"Not as it must be: {names}.", expected, seen, cause)


@check("minimum.task-order", needs=("minimum.dag-loads",))
def task_order(evidence: Evidence) -> Finding:
    """Look for the three tasks, each waiting for the one before."""
    tasks = evidence["parsed"]["dags"][DAG_ID]["tasks"]
    expected = " >> ".join(TASKS)
    if missing := [task for task in TASKS if task not in tasks]:
        return Finding(
            False,
            f"The DAG has no task called {' or '.join(missing)}.",
            expected,
            ", ".join(sorted(tasks)) or "no task",
        )

    def follows(first: str, last: str) -> bool:
        return last == first or any(follows(after, last) for after in tasks[first]["downstream"])

    for first, last in pairwise(TASKS):
        if not follows(first, last):
            seen = "\n".join(f"{task} >> {', '.join(tasks[task]['downstream']) or 'nothing'}" for task in TASKS)
            return Finding(False, f"{last} does not wait for {first}.", expected, seen)
    return Finding(True, f"The tasks are in order: {expected}.")


@check("minimum.run-green", needs=("minimum.task-order",))
def run_green(evidence: Evidence) -> Finding:
    """Look for a green run of January 2024 whose file the source served."""
    backfill = evidence["backfill"]
    expected = f"2024-01 success: {', '.join(f'{task} success' for task in TASKS)}"
    runs = [run for run in backfill["runs"] if run["logical_date"].startswith("2024-01")]
    if not runs:
        seen = backfill["refused"] or "no run"
        return Finding(False, "There was no run for January 2024.", expected, seen)
    (run,) = runs
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    if run["state"] != "success" or any(states.get(task) != "success" for task in TASKS):
        seen = "\n".join(filter(None, [states_table(runs), first_log(runs)]))
        return Finding(False, "The run for January 2024 did not end green.", expected, seen)
    if not served(evidence, "2024-01"):
        return Finding(
            False, "The run is green, but nobody asked the source for January's file.",
            "a request for green_tripdata_2024-01.parquet", "none in the source's access log",
            "The address of the files is not taken from TLC_URL, or the month from the run.",
        )  # fmt: skip
    fct = (backfill["tables"]["fct_trips"] or {"months": {}})["months"].get("2024-01", 0)
    if not fct:
        return Finding(False, "The run is green, but fct_trips has no trip of January 2024.", "trips", "no rows")
    return Finding(True, f"The run for January 2024 is green, and fct_trips has {fct:,} trips of that month.")


def served(evidence: Evidence, month: str) -> bool:
    """Return whether the source served a month's file during the first backfill."""
    path = f"/trip-data/green_tripdata_{month}.parquet"
    requests = evidence["backfill"]["requests"]
    return any(request["path"] == path and request["status"] in (200, 206) for request in requests)
