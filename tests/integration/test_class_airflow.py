"""The shared Airflow of chapter 8: does it read the repository, know nobody, and end with the notebook?"""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.paths import STATE
from autograder.teaching import shared_airflow
from autograder.teaching.class_repository import git, make_class_repository, merge, pull_request
from autograder.teaching.shared_airflow import SharedAirflow, start_shared_airflow

pytestmark = pytest.mark.integration

DAG = """
import os

from airflow.sdk import dag


@dag(dag_id=f"ada_{os.environ.get('AIRFLOW_STUDENT', 'nobody')}", schedule=None, tags=["student:ada"])
def mine():
    pass


mine()
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a class repository in a notebook's folder, behind which a session's warm commands run."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch, Session.open() as session:
        shared = Shared.start(session)
        shared.commands.wait("airflow")
        patch.setenv("PATH", os.pathsep.join([str(shared.commands.folder), os.environ["PATH"]]))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", shared.keys.jwt)
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", shared.keys.fernet)
        patch.setenv("AIRFLOW_HOME", str(folder / "home"))
        patch.setenv("AIRFLOW_STUDENT", "somebody")
        patch.chdir(folder)
        yield make_class_repository("ada")
        _end()


@pytest.fixture(scope="module")
def airflow(clone: Path) -> SharedAirflow:
    assert clone.is_dir()
    return start_shared_airflow("ada")


def test_a_merged_file_is_a_dag_and_knows_no_student(clone: Path, airflow: SharedAirflow) -> None:
    (clone / "dags" / "ada").mkdir()
    (clone / "dags" / "ada" / "mine.py").write_text(DAG)
    _push(clone, "mine")
    assert pull_request("mine")
    merge("mine")
    airflow.wait_for_commit("ada_nobody", "grace_zones")
    git("rm", "-r", "dags/ada", folder=clone)
    _push(clone, "gone")
    merge("gone", even_so=True)
    airflow.wait_until_gone("ada_nobody")


def test_the_check_finds_names_that_break_the_rule(
    clone: Path, airflow: SharedAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "dags" / "linus" / "mine.py").write_text(DAG)
    _push(clone, "wrong")
    assert not pull_request("wrong")
    said = capsys.readouterr().out
    assert "ada_nobody is in dags/linus/, so its dag_id should begin with linus_" in said
    assert "ada_nobody should have the tag student:linus" in said
    git("switch", "main", folder=clone)
    assert airflow.api.dag("ada_nobody") is not None


def test_who_did_it_is_known(airflow: SharedAirflow) -> None:
    with airflow.user("grace") as api:
        api.pause("linus_zones", paused=False)
    assert "grace" in str(airflow.audit_log("linus_zones"))
    assert os.environ["AIRFLOW_STUDENT"] == "somebody"


def test_a_second_start_ends_the_first_and_closing_ends_all(airflow: SharedAirflow) -> None:
    (first,) = shared_airflow._running
    folders = set((STATE / "run").iterdir())
    second = start_shared_airflow("ada")
    assert first.wait(timeout=30) == 0
    assert second.url != airflow.url
    second.wait_for_commit("example_zones")
    (own,) = set((STATE / "run").iterdir()) - folders
    (process,) = shared_airflow._running
    parts = psutil.Process(process.pid).children(recursive=True)
    _end()
    assert process.wait(timeout=30) == 0
    assert not own.exists()
    assert [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE] == []


def _end() -> None:
    for process in shared_airflow._running:
        if process.stdin:
            process.stdin.close()
        process.wait()


def _push(clone: Path, branch: str) -> None:
    git("switch", "-C", branch, folder=clone)
    git("add", "--all", folder=clone)
    git("commit", "-m", branch, folder=clone)
    git("push", "--force", "origin", branch, folder=clone)
