"""Tables from Airflow's records: runs, tasks, tries, XCom, rendered templates, logs, components, asset events.

Contract: each function asks the Airflow that the notebook was started with, and changes nothing. Where a function
takes a run id, None stands for the DAG's newest run.
"""

from collections import Counter

import pandas as pd

from autograder.airflow_api import AirflowApi, Record
from autograder.errors import CourseError
from autograder.teaching.shown import Shown, colour, state_text, table

_PURPOSE = {
    "metadatabase": "remembers everything: DAGs, runs, states, connections",
    "scheduler": "decides which runs and tasks are due, and has the executor run them",
    "dag_processor": "reads the DAG files, and stores what it finds",
    "triggerer": "waits on behalf of deferred tasks",
    "api_server": "answers the UI, the REST API and running tasks",
}


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


def run_dates(*dag_ids: str) -> Shown:
    """Show what each run of the DAGs stands for, and when it may start and did: all moments are in UTC."""
    rows: list[list[object]] = []
    for dag_id in dag_ids:
        for run in AirflowApi.from_environment().runs(dag_id):
            dates = ("logical_date", "data_interval_start", "data_interval_end", "run_after", "start_date")
            rows.append(
                [dag_id, run["run_type"], *((run[date] or "")[:16].replace("T", " ") or None for date in dates)]
            )
    heads = ["DAG", "run type", "logical date", "data interval start", "data interval end", "run after", "started"]
    return table(heads, rows, f"Runs of {' and '.join(dag_ids)}, with their dates in UTC: {len(rows)}.")


def latest_run(dag_id: str) -> str:
    """Return the id of the DAG's newest run.

    Raises
    ------
    CourseError
        When it has none.
    """
    found = AirflowApi.from_environment().runs(dag_id)
    if not found:
        raise CourseError(f"{dag_id} has no run yet.", todo=f"Run `airflow dags trigger {dag_id}`.", exit_code=1)
    return str(found[-1]["dag_run_id"])


def grid(dag_id: str) -> Shown:
    """Show the state of every task (columns, in their order) in every run (rows, first created first)."""
    api = AirflowApi.from_environment()
    tasks, all_runs = api.tasks(dag_id), api.runs(dag_id)
    found: dict[tuple[str, str], list[str | None]] = {}
    for one in api.task_instances(dag_id):
        found.setdefault((one["dag_run_id"], one["task_id"]), []).append(one["state"])
    rows, colours, told = [], {}, Counter[str]()
    for number, run in enumerate(all_runs):
        row = [f"{run['run_type']} {(run['logical_date'] or run['run_after'])[:10]}", state_text(run["state"])]
        colours[number, 1] = colour(run["state"])
        for place, task in enumerate(tasks, 2):
            states = found.get((run["dag_run_id"], task), [None])
            counted = Counter(state_text(state) for state in states)
            # A mapped task has an instance for each of its inputs.
            row.append("\n".join(f"{state} × {n}" if len(states) > 1 else state for state, n in counted.items()))
            colours[number, place] = colour(states[0] if len(counted) == 1 else None)
        told[run["state"]] += 1
        rows.append(row)
    sentence = ", ".join(f"{number} {state}" for state, number in told.items()) or "none yet"
    return table(["run", "state", *tasks], rows, f"Runs of {dag_id}: {sentence}.", colours)


def task_states(dag_id: str, run_id: str | None = None) -> dict[str, str | None]:
    """Return each task's state in a run, in the tasks' order; a mapped task has `task[0]`, `task[1]` and so on."""
    order = {task: place for place, task in enumerate(AirflowApi.from_environment().tasks(dag_id))}
    found = sorted(_tasks(dag_id, run_id), key=lambda one: (order.get(one["task_id"], 0), one["map_index"]))
    return {_name(one): one["state"] for one in found}


def task_log(dag_id: str, run_id: str | None, task_id: str, lines: int = 15) -> str:
    """Return the end of a task's log, without what Airflow logs about itself.

    Raises
    ------
    CourseError
        When the run has no such task.
    """
    task = _task(dag_id, run_id, task_id)
    return AirflowApi.from_environment().log_text(task, lines)


def tries(dag_id: str, run_id: str | None, task_id: str) -> Shown:
    """Show every try of a task: when it began, how long it took, how it ended."""
    task = _task(dag_id, run_id, task_id)
    found = AirflowApi.from_environment().tries(task)
    rows = [
        [one["try_number"], state_text(one["state"]), (one["start_date"] or "")[11:19], round(one["duration"] or 0, 1)]
        for one in found
    ]
    colours = {(number, 1): colour(one["state"]) for number, one in enumerate(found)}
    return table(["try", "state", "began (UTC)", "seconds"], rows, f"Tries of {task_id}: {len(rows)}.", colours)


def xcoms(dag_id: str, run_id: str | None = None) -> Shown:
    """Show what the tasks of a run passed on through XCom."""
    run = run_id or latest_run(dag_id)
    found = AirflowApi.from_environment().xcoms(dag_id, run)
    rows = [[_name(one), one["key"], one["value"]] for one in found]
    return table(["task", "key", "value"], rows, f"XCom of {run}: {len(rows)} values.")


def rendered(dag_id: str, run_id: str | None, task_id: str) -> Shown:
    """Show a task's templated fields as Airflow filled them in for a run."""
    fields = _task(dag_id, run_id, task_id)["rendered_fields"]
    rows = [
        [field, "\n".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else value]
        for field, value in fields.items()
        if value is not None
    ]
    return table(["field", "value"], rows, f"Templates of {task_id}, filled in.")


def health() -> Shown:
    """Show which of Airflow's components run, and what each is for."""
    found = AirflowApi.from_environment().health()
    rows: list[list[object]] = []
    colours = {}
    for name in _PURPOSE:
        # The API server is the one that answers, so it has no entry of its own.
        about = {"status": "healthy"} if name == "api_server" else found.get(name) or {}
        status = about.get("status") or "not running"
        beat = next((value for key, value in about.items() if key.startswith("latest_") and value), None)
        colours[len(rows), 1] = colour("success" if status == "healthy" else None)
        sign = "✔" if status == "healthy" else "–"
        rows.append([name.replace("_", " "), f"{sign} {status}", beat and beat[11:19], _PURPOSE[name]])
    healthy = sum(row[1] == "✔ healthy" for row in rows)
    caption = f"Airflow's components: {healthy} of {len(rows)} are healthy."
    return table(["component", "status", "last heartbeat (UTC)", "what it does"], rows, caption, colours)


def import_errors() -> Shown:
    """Show the DAG files that Airflow cannot import, each with the last line of Python's message."""
    found = AirflowApi.from_environment().import_errors()
    rows = [[one["filename"].rpartition("/")[2], one["stack_trace"].strip().splitlines()[-1]] for one in found]
    return table(["file", "error"], rows, f"DAG files that cannot be imported: {len(rows)}.")


def asset_events() -> Shown:
    """Show when assets were updated, by which task, and which runs that created."""
    found = AirflowApi.from_environment().asset_events()
    rows = [
        [
            one["name"] or one["uri"], one["timestamp"][11:19], f"{one['source_dag_id']}.{one['source_task_id']}",
            ", ".join(f"{run['dag_id']}: {run['state']}" for run in one["created_dagruns"]) or None,
        ]
        for one in found
    ]  # fmt: skip
    return table(["asset", "at (UTC)", "updated by", "runs created"], rows, f"Asset events: {len(rows)}.")


def _tasks(dag_id: str, run_id: str | None) -> list[Record]:
    return AirflowApi.from_environment().task_instances(dag_id, run_id or latest_run(dag_id))


def _task(dag_id: str, run_id: str | None, task_id: str) -> Record:
    found = _tasks(dag_id, run_id)
    for one in found:
        if task_id in (one["task_id"], _name(one)):
            return one
    raise CourseError(
        f"There is no task {task_id!r} in this run.",
        where=f"{dag_id}, run {run_id or 'the newest'}",
        todo=f"Use one of: {', '.join(map(_name, found))}.",
    )


def _name(one: Record) -> str:
    return str(one["task_id"]) if one["map_index"] < 0 else f"{one['task_id']}[{one['map_index']}]"
