"""What people are told when something is wrong: what happened, where, what to do, and never a traceback."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from autograder import doctor, run
from autograder.airflow_local.local import Local, Shared, start
from autograder.airflow_local.months import file_name, write_month
from autograder.airflow_local.session import Session
from autograder.errors import CourseError
from autograder.paths import DAGS, DBT_PROJECT, ROOT, STATE
from autograder.waiting import wait_for_backfill, wait_for_dag, wait_for_runs

pytestmark = pytest.mark.integration

NOTEBOOKS = ROOT / "tests" / "notebooks"
COURSE = (sys.executable, "-P", "-m", "autograder")


def course(*arguments: str | Path, cwd: Path, around: tuple[str, ...] = ()) -> str:
    """Run a command that must fail, and return what it says."""
    done = subprocess.run(
        [*around, *COURSE, *map(str, arguments)],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "500"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


# The command line


def test_data_that_is_no_folder(tmp_path: Path) -> None:
    said = course("run", "--data", "tlc", cwd=tmp_path)
    assert f"✗ {tmp_path}/tlc is not a folder." in said
    assert "to do: Name a folder that holds TLC's files" in said


def test_data_with_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    (tmp_path / file_name("2024-02")).write_text("<html>Access denied</html>")
    said = course("run", "--data", tmp_path, cwd=tmp_path)
    assert f"✗ {file_name('2024-02')} is not a readable Parquet file" in said
    assert f"where: {tmp_path / file_name('2024-02')}" in said
    assert "to do: Download TLC's file again" in said


def test_data_that_lacks_columns(tmp_path: Path) -> None:
    file = tmp_path / file_name("2024-01")
    write_month(file, "2024-01", 100)
    pq.write_table(pq.read_table(file).drop_columns(["PULocationID", "trip_type"]), file)
    said = course("run", "--data", tmp_path, cwd=tmp_path)
    assert "lacks 2 of TLC's 20 green taxi columns: PULocationID, trip_type" in said
    assert f"where: {file}" in said


@pytest.mark.parametrize("name", ["missing/result.json", "folder", "file/result.json"])
def test_a_result_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    said = course("run", "--json", name, cwd=tmp_path)
    assert said.startswith(f"✗ The result cannot be written to {Path(name).name}: ")
    assert f"where: {tmp_path / name}" in said
    assert "to do: Name a file in a folder that is there" in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_evidence_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    said = course("observe", ROOT, "--student", "ada", "-o", "missing/evidence.json", cwd=tmp_path)
    assert said.startswith("✗ The result cannot be written to evidence.json: No such file or directory.")


def test_judging_what_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_text("{torn")
    assert "✗ This is not evidence: " in course("judge", "evidence.json", cwd=tmp_path)


@pytest.fixture
def state_on_a_disk_of_its_own() -> tuple[str, ...]:
    """A command that gives a program a state folder on a tmpfs, which goes with the program."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root on Linux can mount a disk that is full")
    STATE.mkdir(exist_ok=True)
    script = 'mount -t tmpfs -o "$1" tmpfs "$0" && shift && exec "$@"'
    if subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(STATE), "size=1m", "true"], check=False
    ).returncode:
        pytest.skip("this container does not let root mount")
    return ("unshare", "--mount", "sh", "-c", script, str(STATE))


@pytest.mark.parametrize("size", ["30m", "45m"], ids=["initdb", "Postgres"])
def test_a_disk_that_is_full(tmp_path: Path, state_on_a_disk_of_its_own: tuple[str, ...], size: str) -> None:
    said = course("run", cwd=tmp_path, around=(*state_on_a_disk_of_its_own, f"size={size}"))
    assert "✗ The disk is full (" in said
    assert f"where: {STATE}" in said
    assert "to do: Make room: a run needs 500 MB." in said


def test_a_clone_that_is_read_only(tmp_path: Path, state_on_a_disk_of_its_own: tuple[str, ...]) -> None:
    said = course("run", cwd=tmp_path, around=(*state_on_a_disk_of_its_own, "size=1g,ro"))
    assert said.startswith("✗ The course cannot write here: Read-only file system.")
    assert f"where: {STATE}" in said


def test_doctor_in_a_clone_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(doctor, "STATE", tmp_path / "file" / ".course")
    with pytest.raises(CourseError, match="cannot write here: Not a directory"):
        doctor._disk()


def test_doctor_leaves_no_airflow_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW_HOME", raising=False)
    assert doctor._packages().startswith("Airflow 3.")
    assert list(tmp_path.iterdir()) == []


# The main job


@pytest.fixture
def no_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the main job start nothing before its notebook."""
    nothing = SimpleNamespace(notebook_environment={"TLC_URL": "http://source"})
    monkeypatch.setattr("autograder.airflow_local.local.start", lambda *_, **__: nothing)
    monkeypatch.setattr(Shared, "start", lambda session: SimpleNamespace(session=session))


def test_a_chapter_whose_cell_raises_stops_the_job(no_airflow: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CourseError, match="Cell 3 of the notebook raised ValueError: no such month"):
        run.main_job(notebook=NOTEBOOKS / "raises.ipynb")


def test_a_chapter_that_ran_no_backfill(no_airflow: None) -> None:
    with pytest.raises(CourseError, match="ran 0 backfills to their end, not 2"):
        run.main_job(notebook=NOTEBOOKS / "good.ipynb")


# Airflow


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A running Airflow with the course's DAG."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(DBT_PROJECT, project / "include" / "dbt_project")
    (project / "dags").mkdir()
    shutil.copy(DAGS / "taxi_pipeline.py", project / "dags")
    with Session.open() as session, pytest.MonkeyPatch.context() as patch:
        local = start(Shared.start(session), project, student="ada", seed="tests")
        for name, value in local.airflow.environment.items():
            patch.setenv(name, value)
        yield local


def test_a_dag_that_cannot_be_imported(local: Local) -> None:
    dag = local.airflow.dags / "broken.py"
    dag.write_text("from airflow.sdk import dag\n\n@dag\ndef broken(:\n    pass\n")
    started = time.monotonic()
    with pytest.raises(CourseError) as caught:
        wait_for_dag("broken", limit=60)
    assert time.monotonic() - started < 30, "told at once, not when the limit passes"
    assert caught.value.what.startswith("Airflow cannot import broken.py:\n")
    assert "SyntaxError: invalid syntax" in caught.value.what
    assert "line 4" in caught.value.what
    assert caught.value.where == str(dag)
    dag.write_text("from airflow.sdk import dag\n\n@dag\ndef broken():\n    pass\n\nbroken()\n")
    wait_for_dag("broken", limit=60)
    dag.write_text("from airflow.sdk import dag\nimport no_such_package\n")
    with pytest.raises(CourseError, match="No module named 'no_such_package'"):
        wait_for_dag("broken", limit=60)
    dag.unlink()


def test_a_backfill_that_is_not_there_is_paused_and_asks_for_an_unpublished_month(local: Local) -> None:
    wait_for_dag("taxi_pipeline")
    with pytest.raises(CourseError, match="taxi_pipeline has no backfill"):
        wait_for_backfill("taxi_pipeline")
    month = ["--from-date", "2024-08-01", "--to-date", "2024-08-01"]
    local.airflow.cli("backfill", "create", "--dag-id", "taxi_pipeline", *month)
    with pytest.raises(CourseError, match="taxi_pipeline is paused, so its runs stay queued") as caught:
        wait_for_backfill("taxi_pipeline", limit=60)
    assert "airflow dags unpause taxi_pipeline" in caught.value.todo
    local.airflow.cli("dags", "unpause", "taxi_pipeline")
    with pytest.raises(CourseError, match="1 of 1 runs failed") as caught:
        wait_for_backfill("taxi_pipeline", limit=60)
    assert "green_tripdata_2024-08.parquet is not published (HTTP 403)" in caught.value.what
    assert caught.value.where.startswith("taxi_pipeline, run backfill__2024-08-01")
    assert caught.value.where.endswith("task ingest_taxi_month")


def test_waiting_that_takes_too_long(local: Local) -> None:
    wait_for_dag("taxi_pipeline")
    (local.airflow.dags / "nowhere.py").touch()
    with pytest.raises(CourseError, match="has not stored a DAG 'nowhere'"):
        wait_for_dag("nowhere", limit=1)
    (local.airflow.dags / "nowhere.py").unlink()
    wait_for_runs("taxi_pipeline")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 0}', "not JSON"])
def test_judging_what_is_not_evidence(tmp_path: Path, text: str) -> None:
    (tmp_path / "evidence.json").write_text(text)
    argv = [sys.executable, "-m", "autograder", "judge", str(tmp_path / "evidence.json")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("✗ This is not evidence: ")
    assert "./course observe" in done.stderr
