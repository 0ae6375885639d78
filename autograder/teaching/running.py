"""Run a DAG from a notebook, to its end.

Contract: `run_dag` does what `airflow dags unpause` and `airflow dags trigger` do, then waits. Calling it again is
safe: a run that has this logical date already is cleared and runs again.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

from autograder.airflow_api import ENDED, AirflowApi
from autograder.errors import CourseError
from autograder.teaching.records import task_states
from autograder.teaching.shown import state_text
from autograder.waiting import Retries, until, wait_for_dag

WIDTH = 96
"""Columns of a line."""


def run_dag(
    dag_id: str,
    logical_date: str | None = None,
    conf: Mapping[str, Any] | None = None,
    *,
    file: str = "",
    limit: float = 120,
) -> str:
    """Wait until Airflow has read a DAG's file, run the DAG, wait for the end, and print how each task did.

    Parameters
    ----------
    dag_id
        The DAG; it is unpaused.
    logical_date
        The run's, such as `2024-01-01`; none when not given.
    conf
        Values for its params.
    file
        Its file in dags/; `DAG_ID.py` when not given.
    limit
        Seconds to wait for its end.

    Returns
    -------
    str
        The run's id.

    Raises
    ------
    CourseError
        When the file cannot be imported, the run cannot be made, or after `limit`. A run that fails is not an error.
    """
    wait_for_dag(dag_id, file)
    api = AirflowApi.from_environment()
    api.pause(dag_id, paused=False)
    date = f"{logical_date}T00:00:00Z" if logical_date and len(logical_date) == 10 else logical_date
    day = (date or "")[:19]
    if existing := [run for run in api.runs(dag_id) if date and (run["logical_date"] or "")[:19] == day]:
        run_id = str(existing[0]["dag_run_id"])
        api.clear(dag_id, run_id)
        print(f"There is a run of {logical_date} already: its tasks run again.")
    else:
        run_id = str(api.trigger(dag_id, date, conf or {})["dag_run_id"])
    state = [""]
    retries = Retries(api, dag_id)

    def ended() -> bool:
        state[0] = next(run["state"] for run in api.runs(dag_id) if run["dag_run_id"] == run_id)
        retries.tell([run_id])
        return state[0] in ENDED

    try:
        until(ended, f"The run {run_id} of {dag_id} has not ended", limit, "Look at its tasks with grid().")
    except CourseError as error:
        error.where = f"{dag_id}: {task_states(dag_id, run_id)}"
        raise
    print(_told(run_id, state[0], task_states(dag_id, run_id)))
    return run_id


def _told(run_id: str, state: str, tasks: Mapping[str, str | None]) -> str:
    """Return how a run and its tasks ended, in lines that a notebook need not break in the middle of a word."""
    together = "\0"  # a task and its state stay in a line
    told = ", ".join(f"{task} {state_text(one)}".replace(" ", together) for task, one in tasks.items())
    text = f"The run {run_id} ended: {state_text(state)}. Tasks: {told or 'none has run'}."
    lines = textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines.replace(together, " ")
