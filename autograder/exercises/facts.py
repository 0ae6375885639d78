"""What a checker looks at: a parsed DAG, its runs, the warehouse.

Contract: each function reads what is really there. What the student has not made yet is an AssertionError (or a
`CourseError` of exit code 1) whose message says what to do.
"""

import io
import os

import httpx
import pandas as pd

from autograder.airflow_api import AirflowApi, Record
from autograder.teaching.warehouse import query
from autograder.waiting import wait_for_dag

__all__ = ["graph", "newest_run", "pickup_months", "query", "settings", "states", "tasks"]


def graph(dag_id: str, file: str = "") -> dict[str, set[str]]:
    """Return the tasks that wait for each task, of a DAG as its file now stands."""
    return {task: set(about["downstream_task_ids"]) for task, about in tasks(dag_id, file).items()}


def tasks(dag_id: str, file: str = "") -> dict[str, Record]:
    """Return each task's settings, as Airflow stored them from the file as it now stands."""
    wait_for_dag(dag_id, file)
    return {task["task_id"]: task for task in AirflowApi.from_environment().task_settings(dag_id)}


def settings(dag_id: str, file: str = "") -> Record:
    """Return a DAG's settings, as Airflow stored them from the file as it now stands."""
    wait_for_dag(dag_id, file)
    return AirflowApi.from_environment().details(dag_id)


def newest_run(dag_id: str) -> Record:
    """Return the newest run of a DAG."""
    runs = AirflowApi.from_environment().runs(dag_id)
    assert runs, f"{dag_id} has no run yet. Run it, for instance with run_dag({dag_id!r})."
    return runs[-1]


def states(dag_id: str, run_id: str = "") -> dict[str, str | None]:
    """Return each task's state in the newest run of a DAG, or in another."""
    run_id = run_id or newest_run(dag_id)["dag_run_id"]
    return {one["task_id"]: one["state"] for one in AirflowApi.from_environment().task_instances(dag_id, run_id)}


def pickup_months(month: str) -> dict[str, int]:
    """Return how many trips of each month the source's file of a month holds."""
    answer = httpx.get(f"{os.environ['TLC_URL']}/trip-data/green_tripdata_{month}.parquet", timeout=60, trust_env=False)
    pickups = pd.read_parquet(io.BytesIO(answer.raise_for_status().content), columns=["lpep_pickup_datetime"])
    counted = pickups["lpep_pickup_datetime"].dt.strftime("%Y-%m").value_counts()
    return {str(name): int(number) for name, number in counted.items()}
