"""Wait for what Airflow does on its own: read a DAG file, work through runs, finish a backfill.

Contract: each function looks at Airflow's records until a condition holds, prints what has happened since the
last look, and raises `CourseError` when the condition can no longer come true or its limit has passed. Who
interrupts the waiting stops that alone: Airflow goes on.
"""

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from autograder.airflow_api import ENDED, AirflowApi, Record
from autograder.errors import CourseError

_POLL = 0.3
"""Seconds between two looks."""

_RETRY_POLL = 5.0
"""Seconds between two looks at what waits for its next try, which may be minutes away."""

STOPPED = "Stopped waiting. Airflow goes on with what it was asked for; run this cell again to wait for the rest."

NOTHING_TO_DO = "The backfill started no run: its dates have one already. --reprocess-behavior says which to repeat."


class StoppedWaitingError(KeyboardInterrupt):
    """Somebody interrupted the waiting, as with a notebook's stop button."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback, which would be through our code only."""
        return [str(self)]


def wait_for_dag(dag_id: str, file: str = "", limit: float = 60) -> None:
    """Wait until Airflow has read a DAG's file as it now is, and stored the DAG.

    Parameters
    ----------
    dag_id
        The DAG.
    file
        Its file in dags/; `DAG_ID.py` when not given.
    limit
        Seconds to wait.

    Raises
    ------
    CourseError
        At once when there is no file, or it cannot be imported; after `limit` when no DAG appeared.
    """
    api = AirflowApi.from_environment()
    path = _dags_folder() / (file or f"{dag_id}.py")

    def stored() -> bool:
        written = path.stat().st_mtime if path.exists() else 0.0
        if error := _import_error(api, path):
            raise CourseError(
                f"Airflow cannot import {path.name}:\n{error['stack_trace'].strip()}",
                where=str(path),
                todo="Mend the line that the error names, and run the cell that writes the file again.",
                exit_code=1,
            )
        dag = api.dag(dag_id)
        if not path.exists() and (dag is None or dag["is_stale"]):
            raise CourseError(
                f"There is no {path.name} in dags/, and Airflow has no DAG {dag_id!r} of another file.",
                where=str(path),
                todo="Run the cell that writes the file, and then this one again.",
                exit_code=1,
            )
        # The reading must have begun after the last change, or it saw the old text.
        return dag is not None and seconds(dag["last_parsed_time"]) - dag["last_parse_duration"] > written

    others = "Does the file name this DAG, and does it call the DAG function at its end?"
    until(stored, f"Airflow has not stored a DAG {dag_id!r} from {path}", limit, others)
    print(f"Airflow has read {path.name} and stored the DAG {dag_id}.")


def wait_for_import_error(file: str, limit: float = 60) -> None:
    """Wait until Airflow has tried to import a DAG file as it now is, and failed; print what Python said.

    Parameters
    ----------
    file
        The file in dags/.
    limit
        Seconds to wait.

    Raises
    ------
    CourseError
        After `limit`.
    """
    api = AirflowApi.from_environment()
    path = _dags_folder() / file
    until(
        lambda: _import_error(api, path) is not None,
        f"Airflow has not reported an error of {file}", limit, "Perhaps it can be imported: look with import_errors().",
    )  # fmt: skip
    said = (_import_error(api, path) or {"stack_trace": ""})["stack_trace"].strip().splitlines()
    print(f"Airflow cannot import {file}. Python's message ends:\n{chr(10).join(said[-3:])}")


def wait_until_stale(dag_id: str, limit: float = 60) -> None:
    """Wait until Airflow has noticed that no file defines a DAG any more.

    Raises
    ------
    CourseError
        After `limit`.
    """
    api = AirflowApi.from_environment()
    until(
        lambda: bool((api.dag(dag_id) or {}).get("is_stale")),
        f"Airflow still finds {dag_id} in a file", limit, "Is there another file in dags/ with this dag_id?",
    )  # fmt: skip
    print(f"{dag_id} is stale: no file defines it any more.")


def files_in_turn(dag_id: str, count: int, limit: float = 60, *, api: AirflowApi | None = None) -> list[str]:
    """Watch which file a DAG comes from until this has changed, and return the files in turn.

    Parameters
    ----------
    dag_id
        The DAG.
    count
        How many files to see; one that comes back counts again.
    limit
        Seconds to wait.
    api
        Another Airflow than that of the notebook.

    Raises
    ------
    CourseError
        After `limit`.
    """
    api = api or AirflowApi.from_environment()
    seen: list[str] = []

    def enough() -> bool:
        file = str((api.dag(dag_id) or {}).get("relative_fileloc"))
        if seen[-1:] != [file]:
            seen.append(file)
        return len(seen) >= count

    until(enough, f"{dag_id} stayed with {seen}", limit, "Are there two files that have this dag_id?")
    return seen


def wait_for_task(dag_id: str, task_id: str, *states: str, run_id: str = "", limit: float = 120) -> None:
    """Wait until a task of the DAG's newest run is in one of these states, and print which.

    Parameters
    ----------
    dag_id, task_id
        The task.
    states
        Such as `up_for_retry`; success, failed, skipped or upstream_failed when none is given.
    run_id
        Another run than the newest.
    limit
        Seconds to wait.

    Raises
    ------
    CourseError
        After `limit`; the message says in which state the task is.
    """
    api = AirflowApi.from_environment()
    wanted = states or ("success", "failed", "skipped", "upstream_failed")
    seen: list[str] = []

    def there() -> bool:
        run = run_id or next((one["dag_run_id"] for one in reversed(api.runs(dag_id))), "")
        found = [one["state"] for one in (api.task_instances(dag_id, run) if run else []) if one["task_id"] == task_id]
        seen[:] = [str(state) for state in found]
        return bool(found) and all(state in wanted for state in found)

    try:
        until(there, f"{task_id} is not {' or '.join(wanted)}", limit, "Is the DAG unpaused, and has it a run?")
    except CourseError as error:
        error.where = f"DAG {dag_id}: the task is {', '.join(seen) or 'not there'}"
        raise
    print(f"{task_id} is {', '.join(sorted(set(seen)))}.")


def wait_for_runs(dag_id: str, limit: float = 300) -> None:
    """Wait until no run of the DAG is queued, running or due, and print how those that were have ended.

    Raises
    ------
    CourseError
        When the DAG is paused with runs queued, or after `limit` seconds.
    """
    api = AirflowApi.from_environment()

    def its_runs() -> list[Record]:
        # Asked in this order: what is no longer due is among the runs.
        due = api.run_due(dag_id)
        return api.runs(dag_id) + [{"dag_run_id": "", "state": "due"}] * due

    _watch(api, dag_id, its_runs, limit)


def wait_for_backfill(dag_id: str, limit: float = 900) -> int:
    """Wait until every run of the DAG's newest backfill has ended, print how each did, and return how many there were.

    The API does not say to which backfill a run belongs. Its own are of that type, dated between its dates, and were
    queued after it was created: Airflow changes both the type and the time of the runs that a backfill repeats.

    Raises
    ------
    CourseError
        When a run failed (with the end of the failed task's log), when there is no backfill, when the DAG is
        paused, or after `limit` seconds.
    """
    api = AirflowApi.from_environment()
    backfill = api.latest_backfill(dag_id)
    if backfill is None:
        raise CourseError(
            f"{dag_id} has no backfill.",
            todo="Run the cell with `airflow backfill create`, and read what it prints.",
        )
    first, last = seconds(backfill["from_date"]), seconds(backfill["to_date"])

    created = seconds(backfill["created_at"])

    def its_runs() -> list[Record]:
        runs = [run for run in api.runs(dag_id) if run["run_type"] == "backfill" and run["logical_date"]]
        dated = [run for run in runs if first <= seconds(run["logical_date"]) <= last]
        return [run for run in dated if seconds(run["queued_at"]) >= created]

    ended = _watch(api, dag_id, its_runs, limit)
    if backfill["completed_at"] is None:
        api.close_backfill(backfill["id"])
    if failed := [run["dag_run_id"] for run in ended if run["state"] == "failed"]:
        task = next(task for task in api.task_instances(dag_id, failed[0]) if task["state"] == "failed")
        raise CourseError(
            f"{len(failed)} of {len(ended)} runs failed. The first one's log ends:\n{api.log_text(task)}",
            where=f"{dag_id}, run {failed[0]}, task {task['task_id']}",
            todo="Mend the cause, and create the backfill again with --reprocess-behavior failed.",
        )
    print(f"All {len(ended)} runs are green." if ended else NOTHING_TO_DO)
    return len(ended)


def _dags_folder() -> Path:
    return Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])


def _import_error(api: AirflowApi, path: Path) -> Record | None:
    """Return the error of a DAG file as it now is."""
    written = path.stat().st_mtime if path.exists() else 0.0
    for error in api.import_errors():
        if Path(error["filename"]).name == path.name and seconds(error["timestamp"]) > written:
            return error
    return None


def seconds(timestamp: str) -> float:
    """Return a timestamp of the API in seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()


class Retries:
    """Tells of each task of runs of a DAG that has failed and waits for its next try, once."""

    def __init__(self, api: AirflowApi, dag_id: str) -> None:
        self._api, self._dag_id = api, dag_id
        self._told: set[tuple[str, str, int, int]] = set()
        self._looked = time.monotonic()

    def tell(self, run_ids: Sequence[str]) -> None:
        """Print what has come to wait since the last look; look every few seconds only."""
        if time.monotonic() - self._looked < _RETRY_POLL:
            return
        self._looked = time.monotonic()
        for run_id in run_ids:
            for one in self._api.task_instances(self._dag_id, run_id):
                name = (run_id, one["task_id"], one["map_index"], one["try_number"])
                if one["state"] == "up_for_retry" and name not in self._told:
                    self._told.add(name)
                    print(f"{one['task_id']} of {run_id} has failed, and is tried again after its retry_delay. Why:")
                    print(self._api.log_text(one, lines=2), flush=True)


def _watch(api: AirflowApi, dag_id: str, of_interest: Callable[[], list[Record]], limit: float) -> list[Record]:
    """Print each run of interest as it ends; return them once all have ended."""
    told = {run["dag_run_id"] for run in of_interest() if run["state"] in ENDED}
    found: list[Record] = []
    retries = Retries(api, dag_id)

    def all_ended() -> bool:
        found[:] = of_interest()
        for run in found:
            if run["dag_run_id"] not in told and run["state"] in ENDED:
                told.add(run["dag_run_id"])
                print(f"{run['state']:<8} {run['duration']:5.1f} s  {run['dag_run_id']}", flush=True)
        if all(run["state"] in ENDED for run in found):
            return True
        retries.tell([run["dag_run_id"] for run in found if run["state"] == "running"])
        dag = api.dag(dag_id)
        if dag and dag["is_paused"]:
            raise CourseError(
                f"{dag_id} is paused, so its runs stay queued.",
                where=f"DAG {dag_id}",
                todo=f"Run `airflow dags unpause {dag_id}`.",
            )
        return False

    todo = f"Look at the runs in Airflow's UI ({os.environ.get('COURSE_AIRFLOW_URL')}), or wait again."
    until(all_ended, f"{dag_id} still has runs that are queued or running", limit, todo)
    return found


def until(condition: Callable[[], bool], otherwise: str, limit: float, todo: str) -> None:
    """Wait until a condition holds.

    Parameters
    ----------
    condition
        Looked at several times a second.
    otherwise
        What is said when it does not hold within `limit` seconds.
    limit
        Seconds to wait.
    todo
        The next step for whoever reads that.

    Raises
    ------
    CourseError
        After `limit`.
    StoppedWaitingError
        When somebody interrupts it.
    """
    deadline = time.monotonic() + limit
    try:
        while not condition():
            if time.monotonic() > deadline:
                raise CourseError(f"{otherwise}, after {limit:.0f} s.", todo=todo, exit_code=1)
            time.sleep(_POLL)
    except KeyboardInterrupt:
        raise StoppedWaitingError(STOPPED) from None
