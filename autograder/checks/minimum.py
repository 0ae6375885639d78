"""The checks of the Minimum tier: the DAG loads, is set up right, and one month runs green."""

import re
from datetime import UTC, datetime
from itertools import pairwise

from autograder.checks.rules import (
    DAG_ID,
    TASKS,
    Evidence,
    Finding,
    check,
    first_log,
    requests_table,
    rows_table,
    states_table,
)

FILE = f"{DAG_ID}.py"
JANUARY = "2024-01"
TOO_LATE = datetime(2024, 1, 2, tzinfo=UTC)
"""A start date is before this: midnight of 1 January in New York is later than in UTC, and still 1 January."""

MONTHLY = re.compile(r"\d+ \d+ (0?[1-9]|1\d|2[0-8]|L) \* \*")
"""A cron expression for one moment in each month, which is also how Airflow writes `@monthly` back."""


@check("minimum.dag-loads")
def dag_loads(evidence: Evidence) -> Finding:
    """Look for the DAG among those that Airflow imported."""
    parsed = evidence["parsed"]
    found = sorted(parsed["dags"])
    expected = f"a DAG with the dag_id {DAG_ID}, and no import error"
    # Another file's error is told only where it may be why the DAG is missing.
    errors = [error for error in parsed["import_errors"] if error["file"] == FILE or DAG_ID not in found]
    if errors:
        error = min(errors, key=lambda error: bool(error["file"] != FILE))
        last = error["text"].strip().splitlines()[-1]
        if last.startswith("NotImplementedError"):
            message = f"{error['file']} is not written yet: it still raises NotImplementedError."
            return Finding(False, message, expected, last)
        return Finding(False, f"Airflow cannot import {error['file']}, so the DAG is missing.", expected, error["text"])
    if not found:
        # Airflow does not even import a file that has not the words "airflow" and "dag" in it, such as the release's.
        cause = "The file is not written yet, or the function under @dag is not called at its end."
        return Finding(False, f"There is no DAG called {DAG_ID}.", expected, "no DAG in dags/", cause)
    if DAG_ID not in found:
        cause = "A DAG is called what dag_id in @dag(...) says, and without it as the function under @dag."
        seen = f"DAGs with other names: {', '.join(found)}"
        return Finding(False, f"There is no DAG called {DAG_ID}.", expected, seen, cause)
    return Finding(True, f"{parsed['dags'][DAG_ID]['file']} loads, and the DAG {DAG_ID} is in it.")


@check("minimum.schedule", needs=("minimum.dag-loads",))
def schedule(evidence: Evidence) -> Finding:
    """Look for a monthly schedule from January 2024, no catchup, and a tag."""
    dag = evidence["parsed"]["dags"][DAG_ID]
    wrong = wrong_settings(dag)
    if not any(wrong.values()):
        seen = "\n".join(f"{setting} = {dag[setting]}" for setting in wrong)
        return Finding(True, "The DAG's schedule, start date, catchup and tags are set.", seen=seen)
    asked = {
        "schedule": "monthly, as @monthly is",
        "start_date": "2024-01-01, or earlier",
        "catchup": "False",
        "tags": "at least one",
    }
    names = [setting for setting, bad in wrong.items() if bad]
    cause = None
    if wrong["schedule"] and dag["schedule"] not in (None, "None"):
        cause = "The files come once a month: on another schedule runs find nothing new, or months are left out."
    return Finding(
        False,
        f"Not set as it must be: {', '.join(names)}.",
        "\n".join(f"{setting} = {asked[setting]}" for setting in names),
        "\n".join(f"{setting} = {dag[setting]}" for setting in names),
        cause,
    )


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
    expected = f"{JANUARY} success: {', '.join(f'{task} success' for task in TASKS)}"
    runs = [run for run in backfill["runs"] if run["logical_date"].startswith(JANUARY)]
    if len(runs) != 1:
        message = f"There were {len(runs) or 'no'} runs for January 2024."
        seen = backfill["refused"] or states_table(runs) or "no run"
        return Finding(False, message, "one run for January 2024", seen, other_schedule(evidence))
    (run,) = runs
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    if run["state"] != "success" or any(states.get(task) != "success" for task in TASKS):
        seen = "\n".join(filter(None, [states_table(runs), first_log(runs)]))
        message = "The run for January 2024 did not end green."
        return Finding(False, message, expected, seen, out_of_time(backfill))
    if not served(evidence, JANUARY):
        return Finding(
            False, "The run is green, but it never fetched January's file from the source.",
            f"{file_of(JANUARY)} (200)", requests_table(backfill["requests"]),
            "The address of the files is not taken from TLC_URL, or the month not from the run.",
        )  # fmt: skip
    fct = backfill["tables"]["fct_trips"]
    # The tables are read after all seven months: a load that empties them first has left the last month only.
    if fct is None or not {JANUARY, max(evidence["source"])} & set(fct["months"]):
        return Finding(
            False, "The run is green, but fct_trips has no trip of January 2024.",
            "trips of 2024-01 in fct_trips, in your schema", rows_table(fct),
            "raw_trips has none either, or dbt works in another schema: it takes the one that PG_SCHEMA names.",
        )  # fmt: skip
    return Finding(True, f"The run for January 2024 is green, and fct_trips has {fct['rows']:,} trips.")


def wrong_settings(dag: Evidence) -> dict[str, bool]:
    """Return whether each setting that is looked at is wrong."""
    start = dag["start_date"]
    return {
        "schedule": not MONTHLY.fullmatch(dag["schedule"] or ""),
        "start_date": start is None or datetime.fromisoformat(start) >= TOO_LATE,
        "catchup": dag["catchup"] is not False,
        "tags": not dag["tags"],
    }


def file_of(month: str) -> str:
    """Return the path of a month's file at the source."""
    return f"/trip-data/green_tripdata_{month}.parquet"


def served(evidence: Evidence, month: str) -> bool:
    """Return whether the source served a month's file during the first backfill."""
    return any(
        (request["method"], request["path"]) == ("GET", file_of(month)) and request["status"] in (200, 206)
        for request in evidence["backfill"]["requests"]
    )


def other_schedule(evidence: Evidence) -> str | None:
    """Return why a backfill made other runs than one a month, where the DAG's settings say why."""
    wrong = wrong_settings(evidence["parsed"]["dags"][DAG_ID])
    if not (wrong["schedule"] or wrong["start_date"]):
        return None
    return "A backfill makes one run for each date of the schedule, from the start date on: see minimum.schedule."


def out_of_time(backfill: Evidence) -> str | None:
    """Return why a run may not have ended, where the backfill was given up."""
    return None if backfill["in_time"] else "The checker waited for minutes, and gave up: a task waits, or hangs."
