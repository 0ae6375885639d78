"""What does a submission find around it, and what is seen of it: TLC's own host, deployed paths, what parsing touches?

Everything runs on one session's warm parents, without a running Airflow.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local.airflow import Airflow
from autograder.airflow_local.local import Shared, World
from autograder.airflow_local.namespaces import can_bind
from autograder.airflow_local.session import Session
from autograder.observe import own_tests, parsing
from autograder.observe.stage import Part

pytestmark = pytest.mark.integration

FILE = "/trip-data/green_tripdata_2024-01.parquet"
URL = f"https://d37ci6vzurychx.cloudfront.net{FILE}"

DAG = """
from datetime import datetime, timedelta
from airflow.sdk import dag, task

{top}

@dag(schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False, tags=["taxi"],
     default_args={{"retries": 2, "retry_delay": timedelta(minutes=5)}})
def taxi_pipeline():
    @task
    def ingest_taxi_month(): ...
    @task(trigger_rule="all_done")
    def dbt_run(): ...
    ingest_taxi_month() >> dbt_run()

taxi_pipeline()
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A world with a source and a receiver of notifications."""
    with Session.open() as session:
        shared = Shared.start(session)
        shared.commands.wait("airflow")
        yield World.start(shared, seed="tests", name="world")


@pytest.fixture
def deployment(world: World, tmp_path: Path) -> Callable[..., Airflow]:
    """Write DAG files, and return an Airflow on them, not started."""

    def deployment(**files: str) -> Airflow:
        for folder in ("dags", "tests", "include/dbt_project"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / "dags" / f"{name}.py").write_text(text)
        return world.airflow(tmp_path, student="ada", name=tmp_path.name, closed=True)

    return deployment


@pytest.fixture
def describe(world: World, deployment: Callable[..., Airflow]) -> Callable[..., Part]:
    """Write DAG files, and have them read."""
    return lambda **files: parsing.parsed(world, deployment(**files))


def run(airflow: Airflow, *argv: str) -> str:
    """Run a command as a task would, and return what it says."""
    environment = airflow.session.environment(airflow.environment)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


CLIENTS = {
    "curl": "exec curl -sS -o /dev/null -w '%{http_code} %{size_download}' URL",
    "httpx": "import httpx; r = httpx.get('URL'); print(r.status_code, len(r.content), end='')",
    "requests": "import requests; r = requests.get('URL'); print(r.status_code, len(r.content), end='')",
    "urllib": "import urllib.request as u; r = u.urlopen('URL'); print(r.status, len(r.read()), end='')",
    "pandas": "import pandas; print(200, len(pandas.read_parquet('URL')), end='')",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_tlcs_own_host_is_the_source(world: World, deployment: Callable[..., Airflow], client: str) -> None:
    before = len(world.source.requests())
    code = CLIENTS[client].replace("URL", URL)
    argv = ["sh", "-c", code] if client == "curl" else [sys.executable, "-c", code]
    size = world.source.months["2024-01"].rows
    if client != "pandas":
        size = (world.source.months_folder / Path(FILE).name).stat().st_size
    assert run(deployment(), *argv) == f"200 {size}"
    deadline = time.monotonic() + 10  # the source writes its log after it has answered
    while len(world.source.requests()) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [(one["path"], one["status"]) for one in world.source.requests()[before:]] == [(FILE, 200)]


def test_it_answers_without_tls_too(deployment: Callable[..., Airflow]) -> None:
    code = CLIENTS["curl"].replace("URL", URL.replace("https", "http"))
    assert run(deployment(), "sh", "-c", code).startswith("200 ")


def test_any_other_host_is_refused_and_written_down(world: World, deployment: Callable[..., Airflow]) -> None:
    said = run(deployment(), sys.executable, "-c", "import httpx; httpx.get('https://example.org/data')")
    assert "403 Forbidden" in said
    assert (world.proxied()[-1]["host"], world.proxied()[-1]["allowed"]) == ("example.org", False)


def test_notifications_are_received_however_the_address_is_built(
    world: World, deployment: Callable[..., Airflow]
) -> None:
    code = """
import httpx, requests
from airflow.sdk import BaseHook
from airflow.providers.http.hooks.http import HttpHook
c = BaseHook.get_connection("notify")
httpx.post(f"{c.schema}://{c.host}:{c.port}/parts", json={"text": "one"})
requests.post(f"{c.conn_type}://{c.host}:{c.port}", data="two")
HttpHook("POST", http_conn_id="notify").run("hook", data="three")
"""
    before = len(world.notifications())
    said = run(deployment(), sys.executable, "-c", code)
    seen = [(one["method"], one["path"], one["body"]) for one in world.notifications()[before:]]
    expected = [("POST", "/parts", '{"text":"one"}'), ("POST", "/", "two"), ("POST", "/hook", "three")]
    assert seen == expected, said


@pytest.mark.skipif(not can_bind(), reason="no mount namespaces here")
def test_a_deployed_projects_paths_are_the_projects(describe: Callable[..., Part], tmp_path: Path) -> None:
    top = """
from pathlib import Path
for place in ("/usr/local/airflow", "/opt/airflow"):
    Path(place, "include/dbt_project", "seen_at" + place.replace("/", "_")).touch()
"""
    assert describe(taxi_pipeline=DAG.format(top=top))["import_errors"] == []
    seen = sorted(path.name for path in (tmp_path / "include" / "dbt_project").iterdir())
    assert seen == ["seen_at_opt_airflow", "seen_at_usr_local_airflow"]
    assert not Path("/opt/airflow").exists()
    assert not Path("/usr/local/airflow").exists()


def test_a_dag_is_described_as_it_is_written(describe: Callable[..., Part]) -> None:
    seen = describe(taxi_pipeline=DAG.format(top=""))
    assert seen["import_errors"] == []
    assert seen["contacts"] == {"source": [], "hosts": [], "warehouse": 0, "metadata": 0}
    assert seen["dags"] == {
        "taxi_pipeline": {
            "file": "taxi_pipeline.py",
            "schedule": "0 0 1 * *",
            "start_date": "2024-01-01T00:00:00Z",
            "catchup": False,
            "max_active_runs": 16,
            "tags": ["taxi"],
            "callbacks": [],
            "tasks": {
                "ingest_taxi_month": _task(["dbt_run"], "all_success"),
                "dbt_run": _task([], "all_done"),
            },
        }
    }


def _task(downstream: list[str], trigger_rule: str) -> dict[str, Any]:
    settings = {"operator": "@task", "retries": 2.0, "retry_delay": 300}
    return {**settings, "downstream": downstream, "trigger_rule": trigger_rule}


@pytest.mark.parametrize(
    ("top", "contact"),
    [
        (f"import httpx, os; httpx.get(os.environ['TLC_URL'] + '{FILE}')", {"source": [FILE]}),
        (f"import requests; requests.get('{URL}')", {"source": [FILE]}),
        (
            "import httpx\ntry:\n    httpx.get('https://example.com')\nexcept Exception:\n    pass",
            {"hosts": ["example.com"]},
        ),
        (
            "from airflow.providers.postgres.hooks.postgres import PostgresHook\n"
            "PostgresHook('azure_pg').get_first('SELECT 1')",
            {"warehouse": 1, "metadata": 1},
        ),
        ("from airflow.sdk import Variable\nVariable.get('month', default='2024-01')", {"metadata": 1}),
    ],
    ids=["source", "tlc", "another host", "warehouse", "variable"],
)
def test_what_parsing_touches_is_seen(describe: Callable[..., Part], top: str, contact: dict[str, object]) -> None:
    seen = describe(taxi_pipeline=DAG.format(top=top))
    assert seen["import_errors"] == []
    assert seen["contacts"] == {"source": [], "hosts": [], "warehouse": 0, "metadata": 0, **contact}


def test_a_file_that_ends_its_process_is_an_import_error_and_its_own(describe: Callable[..., Part]) -> None:
    ends = "from airflow.sdk import dag\nimport os\nos._exit(0)\n"
    raises = "from airflow.sdk import dag\nraise ValueError('not yet')\n"
    seen = describe(taxi_pipeline=DAG.format(top=""), ends=ends, raises=raises)
    assert list(seen["dags"]) == ["taxi_pipeline"]
    errors = {error["file"]: error["text"].strip().splitlines()[-1] for error in seen["import_errors"]}
    assert errors == {
        "ends.py": "The file ended the process that imported it.",
        "raises.py": "ValueError: not yet",
    }


TESTS = """
import pytest
from airflow.dag_processing.dagbag import DagBag

@pytest.fixture
def dag():
    bag = DagBag()
    assert not bag.import_errors
    return bag.dags["taxi_pipeline"]

def test_order(dag):
    assert dag.task_dict["ingest_taxi_month"].downstream_task_ids == {"dbt_run"}

def test_retries(dag):
    assert all(task.retries == 2 and task.retry_delay.total_seconds() == 300 for task in dag.tasks)

def test_schedule(dag):
    assert (dag.schedule, dag.catchup) == ("@monthly", False)
"""


def test_own_tests_are_tried_on_each_bug(deployment: Callable[..., Airflow], tmp_path: Path, world: World) -> None:
    airflow = deployment(taxi_pipeline=DAG.format(top=""))
    (tmp_path / "tests" / "test_dag.py").write_text(TESTS)
    airflow.make_database()
    folder = world.shared.session.folder / f"{tmp_path.name}-copies"
    tried = own_tests.try_out(airflow, tmp_path, "taxi_pipeline.py", folder)
    assert tried is not None
    assert (tried["own"]["code"], tried["own"]["passed"]) == (0, 3), tried["own"]["output"]
    # Each bug spoils what it is named after, and nothing else: passed, failed, errors.
    assert {name: (bug["passed"], bug["failed"], bug["errors"]) for name, bug in tried["bugs"].items()} == {
        "import_error": (0, 0, 3),
        "other_dag_id": (0, 0, 3),
        "no_order": (2, 1, 0),
        "task_missing": (2, 1, 0),
        "no_retries": (2, 1, 0),
        "daily_with_catchup": (2, 1, 0),
    }
