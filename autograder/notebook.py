"""What the chapter notebooks call: wait for Airflow, and look at its runs and at the warehouse.

Contract: every function reads the records of the Airflow and the warehouse that the notebook was started with
(`./course lab` and `./course run` put them into the environment) and returns something that a notebook
shows well. What a reader can mend is raised as `CourseError`.
"""

import json
import os
from pathlib import Path

import pandas as pd
import psycopg
from psycopg import sql

from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError
from autograder.observe.warehouse import snapshot
from autograder.waiting import wait_for_backfill as _wait_for_backfill
from autograder.waiting import wait_for_dag, wait_for_runs

__all__ = [
    "grid",
    "plot_rows",
    "rows_per_month",
    "runs",
    "start",
    "task_log",
    "wait_for_backfill",
    "wait_for_dag",
    "wait_for_runs",
]

_SIGNS = {"success": "✔", "failed": "✘", "upstream_failed": "✘", "running": "▶"}


def start(student: str) -> None:
    """Check that a healthy Airflow runs behind this notebook, for this student.

    Raises
    ------
    CourseError
        When there is none, or when it writes into another student's schema.
    """
    if os.environ.get("COURSE_AIRFLOW") != "1" or not AirflowApi.from_environment().healthy():
        raise CourseError(
            "No healthy Airflow is running for this notebook.",
            todo="Open the notebooks with ./course lab, or run them with ./course run. Both start one.",
        )
    if student != _student():
        raise CourseError(
            f"The notebook is set to student {student!r}, but this Airflow runs for {_student()!r}.",
            where="the cell with the notebook's parameters, and the environment variable AIRFLOW_STUDENT",
            todo=f'Write student = "{_student()}" in that cell, and run both cells again.',
        )
    # `!airflow …` in a cell inherits this environment. It should show its result, not its log.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    os.environ["PYTHONWARNINGS"] = "ignore"
    print(f"Airflow is healthy. Its UI is at {os.environ['COURSE_AIRFLOW_URL']}")


def wait_for_backfill(dag_id: str, limit: float = 900) -> None:
    """Wait until every run of the DAG's newest backfill has ended, and print how each did.

    Where the environment variable COURSE_RECORD names a file, what then stands in the warehouse is added to it
    as a line: `./course run` reports from there.

    Raises
    ------
    CourseError
        When a run failed, there is no backfill, the DAG is paused, or after `limit` seconds.
    """
    _wait_for_backfill(dag_id, limit)
    if record := os.environ.get("COURSE_RECORD"):
        with psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"], autocommit=True) as connection:
            tables = snapshot(connection, f"airflow_{_student()}")
        with Path(record).open("a") as lines:
            lines.write(f"{json.dumps(tables)}\n")


def runs(dag_id: str) -> pd.DataFrame:
    """Return the DAG's runs, first created first: logical_date, run_type, state and seconds, by run id."""
    found = AirflowApi.from_environment().runs(dag_id)
    return pd.DataFrame(
        {
            "logical_date": [run["logical_date"][:10] if run["logical_date"] else None for run in found],
            "run_type": [run["run_type"] for run in found],
            "state": [run["state"] for run in found],
            "seconds": [round(run["duration"] or 0.0, 1) for run in found],
        },
        index=pd.Index([run["dag_run_id"] for run in found], name="run_id"),
        dtype="object",
    )


def grid(dag_id: str) -> pd.DataFrame:
    """Return the state of every task (columns, in their order) in every run (rows, first created first)."""
    api = AirflowApi.from_environment()
    tasks, all_runs = api.tasks(dag_id), api.runs(dag_id)
    states = {(one["dag_run_id"], one["task_id"]): one["state"] for one in api.task_instances(dag_id)}
    cells = [[states.get((run["dag_run_id"], task)) or "no state yet" for task in tasks] for run in all_runs]
    names = [f"{run['run_type']} {(run['logical_date'] or run['run_after'])[:10]}" for run in all_runs]
    return pd.DataFrame(cells, index=pd.Index(names, name="run"), columns=tasks).map(
        lambda state: f"{_SIGNS.get(state, '…')} {state}"
    )


def task_log(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the end of a task's log, without what Airflow logs about itself.

    Raises
    ------
    CourseError
        When the run has no such task.
    """
    api = AirflowApi.from_environment()
    for task in api.task_instances(dag_id, run_id):
        if task["task_id"] == task_id:
            return api.log_text(task)
    raise CourseError(f"There is no task {task_id!r} in this run.", where=f"{dag_id}, run {run_id}")


def rows_per_month() -> pd.DataFrame:
    """Return how many trips of each month the warehouse holds: month, raw_trips, fct_trips."""
    schema = f"airflow_{_student()}"
    dates = {"raw_trips": "lpep_pickup_datetime", "fct_trips": "pickup_month"}
    counts: dict[str, dict[str, int]] = {}
    with psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
        for table, date in dates.items():
            query = sql.SQL("SELECT to_char({}, 'YYYY-MM'), count(*) FROM {} GROUP BY 1").format(
                sql.Identifier(date), sql.Identifier(schema, table)
            )
            counts[table] = dict(connection.execute(query).fetchall()) if (table,) in tables else {}
    months = sorted({month for of_table in counts.values() for month in of_table})
    columns = {table: [of_table.get(month, 0) for month in months] for table, of_table in counts.items()}
    return pd.DataFrame({"month": months, **columns})


def plot_rows(rows: pd.DataFrame) -> None:
    """Show a table from `rows_per_month` as bars."""
    import matplotlib.pyplot as plt  # half a second that only the cells with a plot pay

    axes = rows.plot.bar(x="month", y=["raw_trips", "fct_trips"], figsize=(8, 3), rot=0)
    axes.set(title="Trips in the warehouse", xlabel="month of pickup", ylabel="rows")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()


def _student() -> str:
    return os.environ.get("AIRFLOW_STUDENT", "default")
