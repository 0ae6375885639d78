"""Is only what can be true taken from the process that a DAG file speaks for?"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local import describe

TASK = {"operator": "@task", "downstream": [], "retries": 3.0, "retry_delay": 300, "trigger_rule": "all_success"}
DAG: dict[str, Any] = {
    "file": "taxi_pipeline.py",
    "schedule": "@monthly",
    "start_date": "2024-01-01T00:00:00Z",
    "catchup": False,
    "max_active_runs": 1,
    "tags": [],
    "callbacks": [],
    "tasks": {"first": {**TASK, "downstream": ["second"]}, "second": TASK},
}


def described(monkeypatch: pytest.MonkeyPatch, folder: Path, dag: object) -> dict[str, Any]:
    """Have a file say this of its DAG."""
    said = {"import_errors": [], "dags": {"taxi_pipeline": dag}}
    monkeypatch.setattr(describe, "_describe", lambda *_: json.loads(json.dumps(said)))
    return dict(describe._apart(folder / "dags" / "mine.py", folder / "dags"))


@pytest.mark.parametrize("file", ["taxi_pipeline.py", "/etc/passwd", "../../../dags/taxi_pipeline.py", ""])
def test_which_file_a_dag_is_in_is_not_the_files_to_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    found = described(monkeypatch, tmp_path, {**DAG, "file": file})
    assert found["dags"]["taxi_pipeline"] == {**DAG, "file": "mine.py"}


def _changed(*path: str, to: object) -> dict[str, Any]:
    dag = copy.deepcopy(DAG)
    place = dag
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return dag


@pytest.mark.parametrize(
    "dag",
    [
        _changed("tasks", to="all"),
        _changed("tasks", "second", "downstream", to=["first"]),
        _changed("tasks", "second", "downstream", to=["third"]),
        _changed("tasks", "second", "retries", to=float("inf")),
        _changed("start_date", to="long ago"),
        _changed("start_date", to="2024-01-01T00:00:00"),
        _changed("tags", to={"one": 1}),
    ],
    ids=["no tasks", "a circle", "a task that is not there", "infinity", "no date", "no time zone", "no list"],
)
def test_what_no_dag_can_be_is_an_import_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dag: dict[str, Any]
) -> None:
    found = described(monkeypatch, tmp_path, dag)
    assert found["dags"] == {}
    assert found["import_errors"] == [{"file": "mine.py", "text": "The file ended the process that imported it."}]
