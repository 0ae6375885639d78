"""The student's own Airflow keeps what is in it, and runs once in a clone."""

from pathlib import Path

import httpx
import pytest

from autograder.airflow_api import AirflowApi
from autograder.airflow_local.session import members
from autograder.desk import open_desk
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
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
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
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
