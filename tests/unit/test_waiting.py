"""When waiting ends, and what it says when there is nothing to wait for."""

import os
from pathlib import Path
from typing import Any

import pytest

from autograder import waiting
from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError


class FakeAirflow:
    """Answers as the REST API does. Each look at the runs takes the next of `looks`, the last one for ever."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"dag": None, "import_errors": [], "latest_backfill": None, **answers}
        self.looks: list[list[dict[str, Any]]] = self.answers.pop("looks", [[]])
        self.due: list[bool] = self.answers.pop("due", [False])
        self.closed: list[int] = []

    def dag(self, dag_id: str) -> Any:
        return self.answers["dag"]

    def import_errors(self) -> Any:
        return self.answers["import_errors"]

    def latest_backfill(self, dag_id: str) -> Any:
        return self.answers["latest_backfill"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def run_due(self, dag_id: str) -> bool:
        return self.due.pop(0) if len(self.due) > 1 else self.due[0]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return [{"task_id": "ingest", "state": "success"}, {"task_id": "dbt_test", "state": "failed"}]

    def log_text(self, task: dict[str, Any]) -> str:
        return f"the log of {task['task_id']}"

    def close_backfill(self, backfill_id: int) -> None:
        self.closed.append(backfill_id)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Put a FakeAirflow in place of the running one."""

    def place(**answers: Any) -> FakeAirflow:
        fake = FakeAirflow(**answers)
        monkeypatch.setattr(AirflowApi, "from_environment", lambda: fake)
        return fake

    monkeypatch.setattr(waiting, "_POLL", 0)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    return place


RUNNING = {"is_paused": False}
BACKFILL = {
    "id": 7,
    "from_date": "2024-01-01T00:00:00Z",
    "to_date": "2024-02-01T00:00:00Z",
    "created_at": "2024-09-01T12:00:00Z",
    "completed_at": None,
}


def _run(month: str | None, state: str, **others: Any) -> dict[str, Any]:
    date = f"2024-{month}-01T00:00:00Z" if month else None
    its = {"run_type": "backfill", "queued_at": "2024-09-01T12:00:01Z", "duration": 2.5}
    return {"dag_run_id": f"run {month}", "logical_date": date, "state": state, **its, **others}


def test_a_dag_is_there_once_it_was_read_after_its_last_change(airflow: Any, tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("")
    os.utime(tmp_path / "d.py", (1000, 1000))
    airflow(dag={"last_parsed_time": "1970-01-01T00:16:41Z", "last_parse_duration": 0.5})  # began at 1000.5
    waiting.wait_for_dag("d", limit=0)
    airflow(dag={"last_parsed_time": "1970-01-01T00:16:41Z", "last_parse_duration": 1.5})  # began at 999.5
    with pytest.raises(CourseError, match="has not stored"):
        waiting.wait_for_dag("d", limit=0)


def test_an_import_error_is_shown_at_once_unless_it_is_an_old_one(airflow: Any, tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("")
    os.utime(tmp_path / "d.py", (1000, 1000))
    error = {"filename": "d.py", "stack_trace": "NameError: task", "timestamp": "1970-01-01T00:16:41Z"}
    airflow(import_errors=[error])
    with pytest.raises(CourseError, match="NameError: task"):
        waiting.wait_for_dag("d", limit=60)
    airflow(import_errors=[{**error, "timestamp": "1970-01-01T00:16:39Z"}])
    with pytest.raises(CourseError, match="has not stored"):
        waiting.wait_for_dag("d", limit=0)


def test_a_file_that_is_not_there_is_told_at_once(airflow: Any, tmp_path: Path) -> None:
    airflow()
    with pytest.raises(CourseError, match=r"There is no d.py in dags/") as caught:
        waiting.wait_for_dag("d", limit=60)
    assert caught.value.exit_code == 1
    airflow(dag={"last_parsed_time": "1970-01-01T00:16:41Z", "last_parse_duration": 0.5, "is_stale": True})
    with pytest.raises(CourseError, match=r"There is no d.py in dags/"):
        waiting.wait_for_dag("d", limit=60)
    airflow(dag={"last_parsed_time": "1970-01-01T00:16:41Z", "last_parse_duration": 0.5, "is_stale": False})
    waiting.wait_for_dag("d", limit=0)  # another file has it


def test_who_stops_the_waiting_reads_that_airflow_goes_on() -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        waiting.until(interrupted, "It has not ended", 60, "")
    (shown,) = caught.value._render_traceback_()  # type: ignore[attr-defined]  # as IPython asks
    assert "Airflow goes on" in shown
    assert "run this cell again" in shown


def test_a_backfill_ends_with_its_own_runs_and_is_closed(airflow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand = {**_run("01", "failed"), "run_type": "manual", "logical_date": "2024-01-15T00:00:00Z"}
    others = [_run(None, "failed"), _run("09", "running"), by_hand]
    fake = airflow(
        dag=RUNNING,
        latest_backfill=BACKFILL,
        looks=[
            [*others, _run("01", "running"), _run("02", "queued")],
            [*others, _run("01", "success"), _run("02", "running")],
            [*others, _run("01", "success"), _run("02", "success")],
        ],
    )
    waiting.wait_for_backfill("d")
    assert fake.closed == [7]
    assert capsys.readouterr().out.splitlines() == [
        "success    2.5 s  run 01",
        "success    2.5 s  run 02",
        "All 2 runs are green.",
    ]


def test_a_task_that_waits_for_its_next_try_is_told_once(
    airflow: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_RETRY_POLL", 0)
    running, task = [_run("01", "running")], {"task_id": "ingest", "map_index": -1, "try_number": 1}
    fake = airflow(dag=RUNNING, latest_backfill=BACKFILL, looks=[running, running, running, [_run("01", "success")]])
    monkeypatch.setattr(fake, "task_instances", lambda dag_id, run_id: [{**task, "state": "up_for_retry"}])
    monkeypatch.setattr(fake, "log_text", lambda task, lines: "503 Service Unavailable")
    waiting.wait_for_backfill("d")
    assert capsys.readouterr().out.splitlines() == [
        "ingest of run 01 has failed, and is tried again after its retry_delay. Why:",
        "503 Service Unavailable",
        "success    2.5 s  run 01",
        "All 1 runs are green.",
    ]


def test_only_its_own_runs_count_to_a_backfill(airflow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand = _run("01", "failed", dag_run_id="by hand", logical_date="2024-01-15T00:00:00Z", run_type="manual")
    of_an_earlier_one = _run("02", "success", queued_at="2024-09-01T11:59:59Z")
    airflow(dag=RUNNING, latest_backfill=BACKFILL, looks=[[by_hand, _run("01", "success"), of_an_earlier_one]])
    waiting.wait_for_backfill("d")
    assert capsys.readouterr().out == "All 1 runs are green.\n"
    airflow(dag=RUNNING, latest_backfill=BACKFILL, looks=[[by_hand, of_an_earlier_one]])
    waiting.wait_for_backfill("d")
    assert capsys.readouterr().out == f"{waiting.NOTHING_TO_DO}\n"


def test_a_failed_run_is_shown_with_its_log(airflow: Any) -> None:
    airflow(dag=RUNNING, latest_backfill=BACKFILL, looks=[[_run("01", "success"), _run("02", "failed")]])
    with pytest.raises(CourseError) as raised:
        waiting.wait_for_backfill("d")
    assert "1 of 2 runs failed" in raised.value.what
    assert "the log of dbt_test" in raised.value.what
    assert raised.value.where == "d, run run 02, task dbt_test"


def test_what_cannot_end_is_told_at_once(airflow: Any) -> None:
    airflow()
    with pytest.raises(CourseError, match="has no backfill"):
        waiting.wait_for_backfill("d")
    airflow(dag={"is_paused": True}, latest_backfill=BACKFILL, looks=[[_run("01", "queued")]])
    with pytest.raises(CourseError, match="airflow dags unpause d"):
        waiting.wait_for_backfill("d")


def test_a_run_that_is_due_is_waited_for_and_shown(airflow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _run("01", "success"), _run("02", "success")
    airflow(dag=RUNNING, due=[True, True, False], looks=[[], [first], [first, second]])
    waiting.wait_for_runs("d")
    assert capsys.readouterr().out.splitlines() == ["success    2.5 s  run 01", "success    2.5 s  run 02"]


def test_waiting_has_a_limit(airflow: Any) -> None:
    airflow(dag=RUNNING, looks=[[_run("01", "running")]])
    with pytest.raises(CourseError, match="after 0 s"):
        waiting.wait_for_runs("d", limit=0)


def test_a_dag_that_no_file_defines_is_waited_for(airflow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    airflow(dag={"is_stale": True})
    waiting.wait_until_stale("d")
    assert "d is stale" in capsys.readouterr().out
    airflow(dag={"is_stale": False})
    with pytest.raises(CourseError, match="still finds d in a file"):
        waiting.wait_until_stale("d", limit=0)


def test_files_are_seen_in_turn_until_there_are_enough(airflow: Any) -> None:
    fake = airflow()
    places = iter(["a.py", "a.py", "b.py", "b.py", "a.py", "c.py"])
    fake.dag = lambda dag_id: {"relative_fileloc": next(places)}
    assert waiting.files_in_turn("d", 3) == ["a.py", "b.py", "a.py"]
