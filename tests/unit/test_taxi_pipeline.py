"""The reference DAG, without a database: what Airflow parses, and its functions on files good and bad.

Marked integration only because importing Airflow takes more than a second.
"""

import doctest
import importlib
import io
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autograder.airflow_local.months import write_month
from autograder.paths import DAGS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))  # importing Airflow writes there
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        patch.setenv("AIRFLOW_STUDENT", "ada")
        patch.syspath_prepend(str(DAGS))
        yield patch
        sys.modules.pop("taxi_pipeline", None)


@pytest.fixture(scope="module")
def pipeline(settings: pytest.MonkeyPatch) -> ModuleType:
    return importlib.import_module("taxi_pipeline")


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """A generated file, and how many of its rows are the month's own."""
    path = tmp_path_factory.mktemp("months") / "green_tripdata_2024-01.parquet"
    facts = write_month(path, "2024-01", rows=300)
    assert facts.rows > facts.in_month, "The file needs rows of other months for these tests."
    return path.read_bytes(), facts.in_month


@pytest.fixture(scope="module")
def dag(settings: pytest.MonkeyPatch) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    def refuse(*args: object) -> None:
        pytest.fail("Parsing the DAG file opened a connection.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        bag = DagBag(dag_folder=str(DAGS / "taxi_pipeline.py"))
    assert bag.import_errors == {}
    return bag.dags["taxi_pipeline"]


def test_doctests(pipeline: ModuleType) -> None:
    result = doctest.testmod(pipeline)
    assert (result.failed, result.attempted) == (0, 2)


def test_tasks_run_in_order(dag: Any) -> None:
    downstream = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert downstream == {"ingest_taxi_month": {"dbt_run"}, "dbt_run": {"dbt_test"}, "dbt_test": set()}


def test_settings(dag: Any) -> None:
    assert dag.schedule == "@monthly"
    assert f"{dag.start_date:%Y-%m-%d %Z}" == "2024-01-01 UTC"
    assert (dag.catchup, dag.max_active_runs, dag.tags) == (False, 1, {"taxi", "student:ada"})
    assert "One run is one month" in dag.doc_md


def test_on_the_shared_airflow_the_folder_says_whose_it_is(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    (tmp_path / "include" / "dbt_project").mkdir(parents=True)
    copy = tmp_path / "dags" / "grace" / "taxi_pipeline.py"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((DAGS / "taxi_pipeline.py").read_bytes())
    settings.delenv("AIRFLOW_STUDENT")
    bag = DagBag(dag_folder=str(copy))
    settings.setenv("AIRFLOW_STUDENT", "ada")
    assert list(bag.dags) == ["grace_taxi_pipeline"]
    dag = bag.dags["grace_taxi_pipeline"]
    assert dag.tags == {"taxi", "student:grace"}
    assert dag.get_task("dbt_run").env["PG_SCHEMA"] == "airflow_grace"
    assert dag.get_task("dbt_run").env["DBT_PROJECT_DIR"] == str(tmp_path / "include" / "dbt_project")


def test_a_missing_dbt_project_is_named(pipeline: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no include/dbt_project above"):
        pipeline.dbt_project(tmp_path / "dags")


def test_a_failed_run_is_told_to_the_connection_notify(dag: Any) -> None:
    notifier = dag.on_failure_callback
    assert (notifier.http_conn_id, notifier.method) == ("notify", "POST")
    assert dag.on_success_callback is None
    assert all(not task.on_failure_callback and not task.on_retry_callback for task in dag.tasks)


def test_every_task_retries_after_a_delay(dag: Any) -> None:
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (2, timedelta(minutes=5)), task.task_id


def test_dbt_gets_the_connection_and_the_rest_of_the_environment(dag: Any) -> None:
    for name in ("run", "test"):
        task = dag.get_task(f"dbt_{name}")
        assert task.append_env
        assert task.env["PG_SCHEMA"] == "airflow_ada"
        assert task.env["PG_HOST"] == "{{ conn.azure_pg.host }}"
        assert Path(task.env["DBT_PROJECT_DIR"], "dbt_project.yml").is_file()


def test_own_rows_are_those_of_the_month(pipeline: ModuleType, january: tuple[bytes, int]) -> None:
    content, in_month = january
    kept = pipeline.own_rows(content, "2024-01")
    assert kept.num_rows == in_month
    assert kept.column_names == list(pipeline.COLUMNS)
    assert {f"{moment:%Y-%m}" for moment in kept["lpep_pickup_datetime"].to_pylist()} == {"2024-01"}


def test_further_columns_are_left_out(pipeline: ModuleType, january: tuple[bytes, int]) -> None:
    table = pq.read_table(io.BytesIO(january[0]))
    wider = table.append_column("cbd_congestion_fee", pa.nulls(table.num_rows, pa.float64()))
    assert pipeline.own_rows(_parquet(wider), "2024-01").column_names == list(pipeline.COLUMNS)


def test_unusable_files_fail_at_once_and_say_why(pipeline: ModuleType, january: tuple[bytes, int]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    table = pq.read_table(io.BytesIO(january[0]))
    for content, month, reason in [
        (b"<html>Access denied</html>", "2024-01", "not Parquet"),
        (b"", "2024-01", "not Parquet"),
        (_parquet(table.drop_columns(["fare_amount"])), "2024-01", "fare_amount"),
        (_parquet(table.slice(0, 0)), "2024-01", "no trip in 2024-01"),
        (january[0], "2025-06", "no trip in 2025-06"),
    ]:
        with pytest.raises(AirflowFailException, match=reason):
            pipeline.own_rows(content, month)


@pytest.mark.parametrize(("status", "tried_again"), [(403, False), (404, False), (429, True), (503, True)])
def test_only_faults_that_pass_are_tried_again(
    pipeline: ModuleType, monkeypatch: pytest.MonkeyPatch, status: int, tried_again: bool
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    def get(url: str, timeout: float) -> httpx.Response:
        return httpx.Response(status, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    with pytest.raises(httpx.HTTPStatusError if tried_again else AirflowFailException, match=str(status)):
        pipeline.download(pipeline.parquet_url("2024-01"))


def _parquet(table: pa.Table) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()
