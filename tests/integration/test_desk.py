"""The student's own Airflow keeps what is in it, and runs once in a clone."""

import contextlib
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from autograder.airflow_api import AirflowApi
from autograder.airflow_local.local import Local
from autograder.airflow_local.session import members
from autograder.desk import mind, open_desk
from autograder.errors import CourseError
from autograder.waiting import until

pytestmark = pytest.mark.integration

DAG = """
from airflow.sdk import dag

@dag(schedule=None)
def remembered(): ...

remembered()
"""


def test_what_is_in_it_stays(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "remembered.py").write_text(DAG)
    with open_desk(project=tmp_path, state=tmp_path / "state") as desk:
        until(lambda: AirflowApi(desk.airflow.url).dag("remembered") is not None, "The DAG is not there.", 60, "")
        desk.airflow.cli("connections", "add", "kept", "--conn-uri", "http://somebody:secret@127.0.0.1:9/")
        desk.airflow.cli("dags", "trigger", "remembered", "--run-id", "mine")
        with desk.connect() as connection:
            connection.execute("CREATE TABLE public.kept AS SELECT 42 AS answer")
        assert httpx.get(desk.airflow.url, follow_redirects=True).status_code == 200
        with (
            pytest.raises(CourseError, match=f"running already, at {desk.airflow.url}"),
            open_desk(project=tmp_path, state=tmp_path / "state"),
        ):
            pass
    assert members(desk.shared.session.folder) == []
    with open_desk(project=tmp_path, state=tmp_path / "state") as desk:
        assert "secret" in desk.airflow.cli("connections", "get", "kept", "--output", "json")
        assert "mine" in desk.airflow.cli("dags", "list-runs", "remembered", "--output", "json")
        with desk.connect() as connection:
            assert connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)


def said_by(desk: Local, *command: str) -> str:
    """Return what an `airflow` command says on stderr."""
    environment = desk.shared.session.environment(desk.airflow.environment)
    argv = ["airflow", *command]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=120).stderr


def test_a_killed_warm_parent_starts_again_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "remembered.py").write_text(DAG)
    with open_desk(project=tmp_path, state=tmp_path / "state") as desk:
        parents = desk.shared.commands.parents
        killed = dict(parents)
        left = [child for one in killed.values() for child in psutil.Process(one.pid).children(recursive=True)]
        assert len(left) > 2, "the components of Airflow"
        for one in killed.values():
            one.kill()
            one.wait()
        assert "airflow: the warm parent has ended; this command starts by itself" in said_by(desk, "version")
        deadline = time.monotonic() + 180

        def up_again() -> bool:
            assert time.monotonic() < deadline
            with contextlib.suppress(CourseError):
                return (
                    all(parents[name] is not killed[name] for name in killed) and AirflowApi(desk.airflow.url).healthy()
                )
            return False

        mind(desk, up_again)
        assert not [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        said = capsys.readouterr().err
        for program in killed:
            assert f"The warm parent of `{program}` was ended from outside" in said.replace("\n", " ")
        until(lambda: AirflowApi(desk.airflow.url).dag("remembered") is not None, "The DAG is not there.", 60, "")
        assert "starts by itself" not in said_by(desk, "dags", "trigger", "remembered"), "the new warm parent runs it"
