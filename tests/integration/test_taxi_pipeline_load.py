"""The reference DAG's load, on a real Postgres: the month's rows, exactly once, or as they were."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autograder.airflow_local.months import write_month
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.paths import DAGS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def warehouse(warehouse_postgres: Postgres) -> str:
    """The URI of an empty warehouse, for the user that DAGs connect as."""
    return warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE)


@pytest.fixture(scope="module")
def pipeline(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))  # importing Airflow writes there
        patch.setenv("AIRFLOW_CONN_AZURE_PG", warehouse)
        patch.setenv("AIRFLOW_STUDENT", "ada")
        patch.syspath_prepend(str(DAGS))
        yield importlib.import_module("taxi_pipeline")
        sys.modules.pop("taxi_pipeline", None)


@pytest.fixture
def own(pipeline: ModuleType, warehouse: str, tmp_path: Path) -> Iterator[dict[str, pa.Table]]:
    """The own rows of two generated months, before an empty warehouse."""
    rows = {}
    for month in ("2024-01", "2024-02"):
        write_month(tmp_path / month, month, rows=300)
        rows[month] = pipeline.own_rows((tmp_path / month).read_bytes(), month)
    yield rows
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS airflow_ada CASCADE")


def test_a_month_arrives_as_it_was_served(pipeline: ModuleType, warehouse: str, own: dict[str, pa.Table]) -> None:
    rows = own["2024-01"]
    assert pipeline.replace_month("2024-01", rows) == rows.num_rows
    with psycopg.connect(warehouse) as connection:
        cursor = connection.execute("SELECT * FROM airflow_ada.raw_trips")
        assert [column.name for column in cursor.description or []] == rows.column_names
        loaded = [tuple(row) for row in cursor]
    served = [tuple(row.values()) for row in rows.to_pylist()]
    assert sorted(loaded, key=str) == sorted(_as_loaded(served), key=str)


def test_loading_again_changes_nothing_and_leaves_other_months(
    pipeline: ModuleType, warehouse: str, own: dict[str, pa.Table]
) -> None:
    expected = {month: rows.num_rows for month, rows in own.items()}
    for month in ("2024-01", "2024-02", "2024-01", "2024-01"):
        pipeline.replace_month(month, own[month])
    assert _rows_per_month(warehouse) == expected


def test_a_load_that_breaks_leaves_the_month_as_it_was(
    pipeline: ModuleType, warehouse: str, own: dict[str, pa.Table]
) -> None:
    rows = own["2024-01"]
    pipeline.replace_month("2024-01", rows)
    zone = rows.column_names.index("PULocationID")
    broken = rows.set_column(zone, "PULocationID", pa.array(["somewhere"] * rows.num_rows))
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        pipeline.replace_month("2024-01", broken)
    assert _rows_per_month(warehouse) == {"2024-01": rows.num_rows}


def test_the_types_hold_a_month_with_whole_numbers_and_one_with_floats(
    pipeline: ModuleType, warehouse: str, own: dict[str, pa.Table], tmp_path: Path
) -> None:
    table = pq.read_table(tmp_path / "2024-02")
    codes = {"RatecodeID", "passenger_count", "payment_type", "trip_type"}
    schema = pa.schema([field.with_type(pa.float64()) if field.name in codes else field for field in table.schema])
    pq.write_table(table.cast(schema), tmp_path / "floats")
    pipeline.replace_month("2024-01", own["2024-01"])
    pipeline.replace_month("2024-02", pipeline.own_rows((tmp_path / "floats").read_bytes(), "2024-02"))
    assert _rows_per_month(warehouse) == {month: rows.num_rows for month, rows in own.items()}


def _as_loaded(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return rows with whole numbers as floats where the table has double precision (all but the ids)."""
    ids = {0, 5, 6}
    return [
        tuple(float(cell) if isinstance(cell, int) and place not in ids else cell for place, cell in enumerate(row))
        for row in rows
    ]


def _rows_per_month(warehouse: str) -> dict[str, int]:
    query = "SELECT to_char(lpep_pickup_datetime, 'YYYY-MM'), count(*) FROM airflow_ada.raw_trips GROUP BY 1"
    with psycopg.connect(warehouse) as connection:
        return dict(connection.execute(query).fetchall())
