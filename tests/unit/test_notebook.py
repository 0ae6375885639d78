"""The tables that a chapter shows, and its first cell."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autograder import notebook
from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError
from autograder.teaching import running


class FakeAirflow:
    """Two runs of two tasks, one of them triggered by hand."""

    def health(self) -> dict[str, Any]:
        return {"scheduler": {"status": "healthy"}}

    def healthy(self) -> bool:
        return True

    def tasks(self, dag_id: str) -> list[str]:
        return ["ingest", "dbt_run"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        return [
            {"dag_run_id": "manual__1", "run_type": "manual", "state": "running", "duration": None,
             "logical_date": None, "run_after": "2024-05-06T07:08:09Z"},
            {"dag_run_id": "backfill__1", "run_type": "backfill", "state": "success", "duration": 3.14159,
             "logical_date": "2024-01-01T00:00:00Z", "run_after": "2024-01-01T00:00:00Z"},
        ]  # fmt: skip

    def task_instances(self, dag_id: str, run_id: str = "~") -> list[dict[str, Any]]:
        return [
            {"dag_run_id": "manual__1", "task_id": "ingest", "map_index": -1, "state": "failed"},
            {"dag_run_id": "manual__1", "task_id": "dbt_run", "map_index": -1, "state": None},
            {"dag_run_id": "backfill__1", "task_id": "ingest", "map_index": -1, "state": "success"},
        ]


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AirflowApi, "from_environment", FakeAirflow)
    monkeypatch.setenv("COURSE_AIRFLOW", "1")
    monkeypatch.setenv("COURSE_AIRFLOW_URL", "http://airflow")
    monkeypatch.setenv("AIRFLOW_STUDENT", "ada")
    # start() sets these for the commands of a notebook; here they go away again.
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO")
    monkeypatch.setenv("PYTHONWARNINGS", "default")


def test_start_says_where_the_ui_is(capsys: pytest.CaptureFixture[str]) -> None:
    notebook.start("ada")
    assert "http://airflow" in capsys.readouterr().out


def test_start_notices_another_student() -> None:
    with pytest.raises(CourseError, match=r"'grace'.*'ada'"):
        notebook.start("grace")


def test_start_notices_other_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="the source serves generated months"):
        notebook.start("ada", str(tmp_path))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    notebook.start("ada", str(tmp_path))
    notebook.start("ada")


def test_start_says_how_to_get_an_airflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COURSE_AIRFLOW")
    monkeypatch.setattr(notebook, "DESK", tmp_path / "notebook.json")  # an Airflow may be running for this clone
    with pytest.raises(CourseError, match=r"\./course lab"):
        notebook.start("ada")


def test_start_finds_an_airflow_that_is_newer_than_the_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def health(self: FakeAirflow) -> dict[str, Any]:
        if os.environ["COURSE_AIRFLOW_URL"] == "http://airflow":
            raise CourseError("Airflow's API server does not answer.")
        return {"scheduler": {}}

    monkeypatch.setattr(FakeAirflow, "health", health)
    monkeypatch.setattr(notebook, "DESK", tmp_path / "notebook.json")
    with pytest.raises(CourseError, match="No Airflow is running"):
        notebook.start("ada")
    (tmp_path / "notebook.json").write_text(json.dumps({"COURSE_AIRFLOW": "1", "COURSE_AIRFLOW_URL": "http://newer"}))
    notebook.start("ada")
    assert "http://newer" in capsys.readouterr().out


def test_start_waits_for_an_airflow_that_wakes_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = [False, True]
    monkeypatch.setattr(FakeAirflow, "healthy", lambda self: looks.pop(0))
    notebook.start("ada")
    assert "Airflow is healthy." in capsys.readouterr().out
    monkeypatch.setattr(FakeAirflow, "healthy", lambda self: False)
    monkeypatch.setattr(notebook, "HEALTH_LIMIT", 0)
    with pytest.raises(CourseError, match="running, but not healthy"):
        notebook.start("ada")


def test_start_makes_the_source_well_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSE_SOURCE_FAULTS", str(tmp_path / "faults.json"))
    notebook.start("ada")
    assert "source" not in capsys.readouterr().out
    notebook.source_fault("2024-02", status=503)
    notebook.start("ada")
    assert "The source is well again." in capsys.readouterr().out
    assert not (tmp_path / "faults.json").exists()


@pytest.mark.parametrize(
    ("dag_id", "started", "months", "told"),
    [
        ("taxi_pipeline", 0, [], True),
        ("taxi_pipeline", 0, ["2024-01"], False),
        ("taxi_pipeline", 7, [], False),
        ("other", 0, [], False),
    ],
)
def test_a_backfill_that_has_nothing_to_do_for_another_student_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    dag_id: str, started: int, months: list[str], told: bool,
) -> None:  # fmt: skip
    monkeypatch.delenv("COURSE_RECORD", raising=False)
    monkeypatch.setattr(notebook, "_wait_for_backfill", lambda dag_id, limit: started)
    monkeypatch.setattr(notebook, "rows_per_month", lambda: pd.DataFrame({"month": months}))
    notebook.wait_for_backfill(dag_id)
    assert ("But airflow_ada holds no trips" in capsys.readouterr().out) == told


def test_runs_show_a_missing_logical_date() -> None:
    table = notebook.runs("d")
    assert table.index.tolist() == ["manual__1", "backfill__1"]
    assert table["logical_date"].tolist() == [None, "2024-01-01"]
    assert table["seconds"].tolist() == [0.0, 3.1]


def test_the_grid_has_a_word_for_every_task_of_every_run() -> None:
    shown = notebook.grid("d")
    assert str(shown).splitlines() == [
        "Runs of d: 1 running, 1 success.",
        "",
        "run                  state      ingest     dbt_run",
        "manual 2024-05-06    ▶ running  ✘ failed   … no state yet",
        "backfill 2024-01-01  ✔ success  ✔ success  … no state yet",
    ]
    assert '<th scope="row"' in shown.html


def test_a_log_of_no_task_is_told() -> None:
    with pytest.raises(CourseError, match="no task 'dbt'"):
        notebook.task_log("d", "manual__1", "dbt")


def test_how_a_run_ended_is_told_in_lines_with_a_task_and_its_state_together() -> None:
    told = running._told("manual__2026-11-25T11:48:36.460586+00:00", "success", dict.fromkeys("abcdefgh", "success"))
    assert max(map(len, told.splitlines())) <= running.WIDTH
    assert " ".join(told.split()).endswith("Tasks: " + ", ".join(f"{one} ✔ success" for one in "abcdefgh") + ".")
    assert all(line.strip()[0] in "Tabcdefgh" for line in told.splitlines())
    assert running._told("r", "failed", {}) == "The run r ended: ✘ failed. Tasks: none has run."
