"""Read DAG files as Airflow does, and describe what it would store.

Contract: `python -m autograder.airflow_local.describe OUT`, in the environment of an Airflow, imports each file of its
DAGs folder in a process of its own, as its DAG processor does, serializes the DAGs, and writes to OUT:
`{"import_errors": [{"file", "text"}], "dags": {dag_id: …}, "seconds": s}`. A file that ends its process, or does not
end, is an import error, and so is one whose process says anything else than such a description. Which file a DAG is in
is never taken from its process, which a student's code could speak for. No database is needed.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic's, until Python 3.12

from autograder.airflow_local import preload

FILE_LIMIT = 45
"""Seconds that a file may take: more than Airflow's own limit of 30, which ends with a better message."""

KEPT_TEXT = 6000
"""Characters of an import error that are kept, from its end."""

LARGEST = 4_000_000
"""Bytes of a description."""


State = Literal["failed", "success"]


def _a_moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a moment without a time zone")
    return text


def _a_graph(tasks: "dict[str, Task]") -> "dict[str, Task]":
    try:
        order = list(TopologicalSorter({task_id: task["downstream"] for task_id, task in tasks.items()}).static_order())
    except CycleError as error:
        raise ValueError("tasks that wait for each other") from error
    if len(order) > len(tasks):
        raise ValueError("a task after one that there is not")
    return tasks


class ImportFailure(TypedDict):
    """A file that could not be imported."""

    file: str
    text: str


class Task(TypedDict):
    """A task, as Airflow stores it."""

    operator: str
    downstream: list[str]
    retries: FiniteFloat
    retry_delay: int | FiniteFloat | None
    trigger_rule: str


class Dag(TypedDict):
    """A DAG, as Airflow stores it."""

    file: str
    schedule: str | None
    start_date: Annotated[str, AfterValidator(_a_moment)] | None
    catchup: bool
    max_active_runs: int
    tags: list[str]
    callbacks: list[State]
    tasks: Annotated[dict[str, Task], AfterValidator(_a_graph)]


class Description(TypedDict):
    """What is in one file."""

    import_errors: list[ImportFailure]
    dags: dict[str, Dag]


def main(out: Path) -> None:
    """Describe the DAGs folder that the environment names."""
    preload.reset_airflow()
    from airflow import settings
    from airflow.dag_processing.dagbag import DagBag  # noqa: F401 - before the fork
    from airflow.utils.file import list_py_file_paths

    folder = Path(settings.DAGS_FOLDER)
    found: dict[str, Any] = {"import_errors": [], "dags": {}, "seconds": 0.0}
    for path in sorted(map(Path, list_py_file_paths(folder))):
        begun = time.monotonic()
        one = _apart(path, folder)
        found["import_errors"] += one["import_errors"]
        found["dags"] |= one["dags"]
        found["seconds"] = round(found["seconds"] + time.monotonic() - begun, 3)
    out.write_text(json.dumps(found))


def _apart(path: Path, folder: Path) -> Description:
    """Describe one file in a forked child."""
    file = str(path.relative_to(folder))
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        os.setsid()
        try:
            theirs.sendall(json.dumps(_describe(path, folder)).encode())
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    theirs.close()
    with ours:
        said, why = _hear(child, ours)
    if not why:
        try:
            found = TypeAdapter(Description).validate_json(said, strict=True)
        except ValidationError:
            why = "ended the process that imported it"
        else:
            for dag in found["dags"].values():
                dag["file"] = file
            return found
    return {"import_errors": [{"file": file, "text": f"The file {why}."}], "dags": {}}


def _hear(child: int, ours: socket.socket) -> tuple[bytes, str | None]:
    """Return what a child said before it ended, or why it was ended."""
    said, why, over = bytearray(), None, False
    deadline = time.monotonic() + FILE_LIMIT
    while not over:
        # Not until the connection is closed: what the child leaves behind may hold it open.
        over = os.waitpid(child, os.WNOHANG) != (0, 0)
        while select.select([ours], [], [], 0 if over else 0.005)[0] and (part := ours.recv(65536)):
            said += part
            if len(said) > LARGEST:
                why = f"has more in it than can be described in {LARGEST} bytes"
                break
        if time.monotonic() > deadline:
            why = f"did not end within {FILE_LIMIT} s"
        if why and not over:
            for end in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    end(child, signal.SIGKILL)
            os.waitpid(child, 0)
            over = True
    return bytes(said), why


def _describe(path: Path, folder: Path) -> Description:
    from airflow.dag_processing.dagbag import DagBag

    sys.path.append(str(folder))  # as for the DAG processor: a file may import its neighbours
    bag = DagBag(path, bundle_path=folder, bundle_name="dags-folder")
    errors, dags = dict(bag.import_errors), {}
    for dag in bag.dags.values():
        try:
            dags[dag.dag_id] = _dag(dag, str(path.relative_to(folder)))
        except Exception:
            errors[str(path.relative_to(folder))] = traceback.format_exc()
    told: list[ImportFailure] = [{"file": file, "text": text[-KEPT_TEXT:]} for file, text in errors.items()]
    return {"import_errors": told, "dags": dags}


def _dag(dag: Any, file: str) -> Dag:  # noqa: ANN401 - Airflow's
    from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG

    lazy = LazyDeserializedDAG.from_dag(dag)
    stored = DagSerialization.from_dict(lazy.data)
    schedule = str(stored.timetable.summary)
    callbacks: dict[State, bool] = {"failed": lazy.has_on_failure_callback, "success": lazy.has_on_success_callback}
    return {
        "file": file,
        "schedule": None if schedule == "None" else schedule,
        "start_date": _iso(stored.start_date),
        "catchup": stored.catchup,
        "max_active_runs": stored.max_active_runs,
        "tags": sorted(stored.tags or ()),
        "callbacks": [state for state in callbacks if callbacks[state]],
        "tasks": {
            task_id: {
                "operator": task.operator_name,
                "downstream": sorted(task.downstream_task_ids),
                "retries": float(task.retries),
                "retry_delay": _seconds(task.retry_delay),
                "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
            }
            for task_id, task in stored.task_dict.items()
        },
    }


def _iso(moment: Any) -> str | None:  # noqa: ANN401 - a datetime of pendulum's
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _seconds(delay: object) -> float | None:
    if not isinstance(delay, timedelta):
        return float(delay) if isinstance(delay, int | float) else None
    seconds = delay.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


if __name__ == "__main__":
    main(Path(sys.argv[1]))
