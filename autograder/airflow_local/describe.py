"""Read DAG files as Airflow does, and describe what it would store.

Contract: `python -m autograder.airflow_local.describe OUT`, in the environment of an Airflow, imports each file of its
DAGs folder in a process of its own, as its DAG processor does, serializes the DAGs, and writes to OUT:
`{"import_errors": [{"file", "text"}], "dags": {dag_id: …}, "seconds": s}`. A file that ends its process, or does not
end, is an import error. No database is needed.
"""

import json
import os
import signal
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

from autograder.airflow_local import preload

FILE_LIMIT = 45
"""Seconds that a file may take: more than Airflow's own limit of 30, which ends with a better message."""

KEPT_TEXT = 6000
"""Characters of an import error that are kept, from its end."""


def main(out: Path) -> None:
    """Describe the DAGs folder that the environment names."""
    preload.reset_airflow()
    from airflow import settings
    from airflow.dag_processing.dagbag import DagBag  # noqa: F401 - before the fork
    from airflow.utils.file import list_py_file_paths

    folder = Path(settings.DAGS_FOLDER)
    found: dict[str, Any] = {"import_errors": [], "dags": {}, "seconds": 0.0}
    for path in sorted(map(Path, list_py_file_paths(folder))):
        one = _apart(path, folder, out.with_suffix(".part"))
        found["import_errors"] += one["import_errors"]
        found["dags"] |= one["dags"]
        found["seconds"] = round(found["seconds"] + one["seconds"], 3)
    out.write_text(json.dumps(found))


def _apart(path: Path, folder: Path, part: Path) -> dict[str, Any]:
    """Describe one file in a forked child."""
    part.unlink(missing_ok=True)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            part.with_suffix(".new").write_text(json.dumps(_describe(path, folder)))
            part.with_suffix(".new").rename(part)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > begun + FILE_LIMIT:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.005)
    seconds = round(time.monotonic() - begun, 3)
    if part.exists():
        described: dict[str, Any] = json.loads(part.read_text())
        return described
    why = f"did not end within {FILE_LIMIT} s" if seconds > FILE_LIMIT else "ended the process that imported it"
    error = {"file": str(path.relative_to(folder)), "text": f"The file {why}."}
    return {"import_errors": [error], "dags": {}, "seconds": seconds}


def _describe(path: Path, folder: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    sys.path.append(str(folder))  # as for the DAG processor: a file may import its neighbours
    begun = time.monotonic()
    bag = DagBag(path, bundle_path=folder, bundle_name="dags-folder")
    seconds = time.monotonic() - begun
    errors, dags = dict(bag.import_errors), {}
    for dag in bag.dags.values():
        try:
            dags[dag.dag_id] = _dag(dag, str(path.relative_to(folder)))
        except Exception:
            errors[str(path.relative_to(folder))] = traceback.format_exc()
    told = [{"file": file, "text": text[-KEPT_TEXT:]} for file, text in errors.items()]
    return {"import_errors": told, "dags": dags, "seconds": round(seconds, 3)}


def _dag(dag: Any, file: str) -> dict[str, Any]:  # noqa: ANN401 - Airflow's
    from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG

    lazy = LazyDeserializedDAG.from_dag(dag)
    stored = DagSerialization.from_dict(lazy.data)
    schedule = str(stored.timetable.summary)
    return {
        "file": file,
        "schedule": None if schedule == "None" else schedule,
        "start_date": _iso(stored.start_date),
        "catchup": stored.catchup,
        "max_active_runs": stored.max_active_runs,
        "tags": sorted(stored.tags or ()),
        "callbacks": [
            state
            for state, has in (("failed", lazy.has_on_failure_callback), ("success", lazy.has_on_success_callback))
            if has
        ],
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
