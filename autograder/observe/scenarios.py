"""What a submission is put through, and what is written down of it.

Contract: each function takes a running `Local` and returns a part of the evidence. A scenario that cannot begin,
because an earlier one showed that there is nothing to run, is left out; what a student's DAG does, its failing
included, is evidence and no error.
"""

import calendar
from collections.abc import Callable
from typing import Any

from autograder.airflow_api import AirflowApi
from autograder.airflow_local.airflow import CLUSTER_POLICY
from autograder.airflow_local.local import MONTHS, Local
from autograder.errors import CourseError
from autograder.observe import history, warehouse

DAG_ID = "taxi_pipeline"
RETRY_DELAY = 1.0
"""Seconds between two tries of a task in a graded run."""

RUN_LIMIT = 45.0
"""Seconds that a run of a scenario may take: 2 to 3 with the warm commands, ten times as many without."""

CUT_MONTH = "2024-03"
CUT_AFTER_ROWS = 150
"""A load is cut at this row: well within every month, and past the first rows of a batch."""

Told = Callable[[str], None]
"""Takes a line of progress."""


def parse(local: Local) -> dict[str, Any]:
    """Have Airflow read the DAG files, and describe what it stored.

    The first reading is of the DAG as it is written; the second, which the runs use, shortens its retry delays.
    """
    api = AirflowApi(local.airflow.url)
    local.airflow.cli("dags", "reserialize", env={"COURSE_RETRY_DELAY": ""})
    described = history.parsed(api)
    local.airflow.cli("dags", "reserialize")
    for dag in history.parsed(api)["dags"].values():
        if any(task["retry_delay"] not in (None, RETRY_DELAY) for task in dag["tasks"].values()):
            raise CourseError("The cluster policy for graded runs had no effect.", where=str(CLUSTER_POLICY))
    return described


def backfill(local: Local, months: tuple[str, ...] = MONTHS, *, again: bool = False, told: Told) -> dict[str, Any]:
    """Backfill these months as `airflow backfill create` does, one run at a time.

    Returns
    -------
    dict
        `runs` of the backfill; `tables` of the warehouse after it; `requests` that reached the source meanwhile;
        `in_time`, whether all runs ended within `RUN_LIMIT` each; `refused`, what the command said if it failed.
    """
    api = AirflowApi(local.airflow.url)
    asked_before = len(local.source.requests())
    year, month = map(int, months[-1].split("-"))
    last_day = calendar.monthrange(year, month)[1]  # a monthly schedule may name any day
    dates = ["--from-date", f"{months[0]}-01", "--to-date", f"{months[-1]}-{last_day}"]
    how = ["--max-active-runs", "1", *(["--reprocess-behavior", "completed"] if again else [])]
    refused, in_time = None, False
    try:
        local.airflow.cli("dags", "unpause", DAG_ID)
        local.airflow.cli("backfill", "create", "--dag-id", DAG_ID, *dates, *how)
    except CourseError as error:
        refused = error.what
    else:
        in_time = history.wait_for_backfill(
            api,
            DAG_ID,
            list(months),
            limit=RUN_LIMIT * len(months),
            told=lambda done, of: told(f"{done} of {of} runs ended"),
        )
    with local.connect() as connection:
        tables = warehouse.snapshot(connection, local.schema)
    return {
        "runs": history.backfill_runs(api, DAG_ID, list(months)),
        "tables": tables,
        "requests": local.source.requests()[asked_before:],
        "in_time": in_time,
        "refused": refused,
    }


def cut_load(local: Local, told: Told) -> dict[str, Any]:
    """Load one month again with every load losing its connection half-way."""
    with local.connect() as connection:
        before = warehouse.snapshot(connection, local.schema)
        with warehouse.cut_loads(connection, local.schema, CUT_AFTER_ROWS):
            after = backfill(local, (CUT_MONTH,), again=True, told=told)
    return {"month": CUT_MONTH, "before": before, **after}
