"""What the chapter notebooks call: wait for Airflow, and look at its runs and at the warehouse.

Contract: every function reads the records of the Airflow and the warehouse that the notebook was started with
(`./course lab` and `./course run` put them into the environment) and returns something that a notebook
shows well. What a reader can mend is raised as `CourseError`.
"""

import contextlib
import json
import os
from pathlib import Path

import psycopg

from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError
from autograder.manifest import DAG_FILE
from autograder.observe.warehouse import snapshot
from autograder.paths import DESK
from autograder.teaching.class_repository import make_class_repository, merge, pull_request
from autograder.teaching.exercises import exercise, hint, solution
from autograder.teaching.inbox import notifications, wait_for_notification
from autograder.teaching.pictures import gantt, plot_rows, task_graph
from autograder.teaching.questions import answer, quiz
from autograder.teaching.records import (
    asset_events,
    grid,
    health,
    import_errors,
    latest_run,
    rendered,
    run_dates,
    runs,
    task_log,
    task_states,
    tries,
    xcoms,
)
from autograder.teaching.running import run_dag
from autograder.teaching.schedule import next_runs
from autograder.teaching.shared_airflow import start_shared_airflow
from autograder.teaching.source_control import source_fault, source_misbehaves, source_requests, source_reset
from autograder.teaching.testing import try_bugs
from autograder.teaching.warehouse import query, rows_per_month, student_schema
from autograder.waiting import (
    files_in_turn,
    until,
    wait_for_dag,
    wait_for_import_error,
    wait_for_runs,
    wait_for_task,
    wait_until_stale,
)
from autograder.waiting import wait_for_backfill as _wait_for_backfill

__all__ = [
    "answer",
    "asset_events",
    "exercise",
    "files_in_turn",
    "gantt",
    "grid",
    "health",
    "hint",
    "import_errors",
    "latest_run",
    "make_class_repository",
    "merge",
    "next_runs",
    "notifications",
    "plot_rows",
    "pull_request",
    "query",
    "quiz",
    "rendered",
    "rows_per_month",
    "run_dag",
    "run_dates",
    "runs",
    "solution",
    "source_fault",
    "source_requests",
    "source_reset",
    "start",
    "start_shared_airflow",
    "task_graph",
    "task_log",
    "task_states",
    "tries",
    "try_bugs",
    "wait_for_backfill",
    "wait_for_dag",
    "wait_for_import_error",
    "wait_for_notification",
    "wait_for_runs",
    "wait_for_task",
    "wait_until_stale",
    "xcoms",
]


HEALTH_LIMIT = 60.0
"""Seconds that a running Airflow has to be healthy."""


def start(student: str, data: str = "") -> None:
    """Check that a healthy Airflow runs behind this notebook, for this student and on these data.

    Parameters
    ----------
    student
        Whose schema it should write to.
    data
        The folder of real TLC files that its source should serve; empty when any months will do.

    Raises
    ------
    CourseError
        When there is none, when it writes into another student's schema, or when its source serves other files.
    """
    if not _answers() and DESK.is_file():  # another editor, or a kernel that is older than this Airflow
        os.environ.update(json.loads(DESK.read_text()))
    if not _answers():
        raise CourseError(
            "No Airflow is running for this notebook.",
            todo="Open the notebooks with ./course lab. In another editor, run ./course airflow in a terminal first.",
        )
    # One that was asleep, as its laptop was, needs some seconds until its parts have said that they are there.
    until(
        AirflowApi.from_environment().healthy,
        "Airflow is running, but not healthy", HEALTH_LIMIT,
        "See which part it is with health(). Where it stays so, stop what you started with Ctrl-C, and start it again.",
    )  # fmt: skip
    if student != _student():
        raise CourseError(
            f"The notebook is set to student {student!r}, but this Airflow runs for {_student()!r}.",
            where="the cell with the notebook's parameters, and the environment variable AIRFLOW_STUDENT",
            todo=f'Write student = "{_student()}" in that cell, and run both cells again.',
        )
    served = os.environ.get("COURSE_DATA", "")
    if data and str(Path(data).resolve()) != served:
        raise CourseError(
            f"The notebook is set to the files of {data}, but the source serves {served or 'generated months'}.",
            where="the cell with the notebook's parameters",
            todo=f'Start the course with ./course lab --data {data}, or write data = "" in that cell.',
        )
    # `!airflow …` in a cell inherits this environment. It should show its result, not its log.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    os.environ["PYTHONWARNINGS"] = "ignore"
    print(f"Airflow is healthy. Its UI is at {os.environ['COURSE_AIRFLOW_URL']}")
    if source_misbehaves():  # else the restart of a kernel in the middle of a demonstration would spoil what follows
        print("A cell that ran before had told the source to misbehave.")
        source_reset()


def wait_for_backfill(dag_id: str, limit: float = 900) -> None:
    """Wait until every run of the DAG's newest backfill has ended, and print how each did.

    Where the environment variable COURSE_RECORD names a file, what then stands in the warehouse is added to it
    as a line: `./course run` reports from there.

    Raises
    ------
    CourseError
        When a run failed, there is no backfill, the DAG is paused, or after `limit` seconds.
    """
    if not _wait_for_backfill(dag_id, limit) and dag_id == Path(DAG_FILE).stem and rows_per_month().empty:
        print(
            f"But {student_schema()} holds no trips: those runs were another student's, by the name that was set when "
            "this Airflow ran before. Run the command with --reprocess-behavior completed."
        )
    if record := os.environ.get("COURSE_RECORD"):
        with psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"], autocommit=True) as connection:
            tables = snapshot(connection, student_schema())
        with Path(record).open("a") as lines:
            lines.write(f"{json.dumps(tables)}\n")


def _answers() -> bool:
    if os.environ.get("COURSE_AIRFLOW") == "1":
        with contextlib.suppress(CourseError):
            return bool(AirflowApi.from_environment().health())
    return False


def _student() -> str:
    return os.environ.get("AIRFLOW_STUDENT", "default")
