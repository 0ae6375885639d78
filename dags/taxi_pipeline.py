"""Load a month of New York green-taxi trips into the warehouse, rebuild the dbt models, and test them.

`ingest_taxi_month >> dbt_run >> dbt_test`

**One run is one month.** The month comes from the run's logical date, never from the clock, so a backfill
loads the month that it is asked for. A run triggered by hand has no logical date unless you give it one; it
takes the month in which it was triggered (`run_after`).

**Running twice changes nothing.** One transaction deletes the month's rows and loads them again. Rows that a
file dates in other months are left out: deleting by month would miss them, and every rerun would add them
again.

**One run at a time.** Two dbt runs in one schema get in each other's way, so `max_active_runs` is 1. A
backfill has a limit of its own: create it with `--max-active-runs 1`.

**Retries are for faults that pass.** A dropped connection or a busy server is tried again after five minutes.
A month that is not published, or a file without the expected columns, fails at once.

The TLC publishes a month about two months after it ends, so the schedule's own run for the current month
fails with "not published". Clear that run, or backfill the month, once the file is there.

**A run that fails says so once.** Airflow calls `on_failure_callback` when the run has failed for good, so a retry
sends nothing, and neither do the tasks that never started.

**One file, two places.** In `dags/`, on your own Airflow, the DAG is `taxi_pipeline`, and `AIRFLOW_STUDENT` names
the schema, `airflow_<student>`. In `dags/<student>/`, on the shared Airflow, the folder says whose it is, and the
DAG is `<student>_taxi_pipeline`.

Needs the connections `azure_pg` (Postgres) and `notify` (HTTP, takes a POST with a text).
"""

import io
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path(__file__).resolve().parent
SHARED = FOLDER.name != "dags"  # then it is dags/<student>/, where every student has one
STUDENT = FOLDER.name if SHARED else os.environ.get("AIRFLOW_STUDENT", "default")
DAG_ID = f"{STUDENT}_taxi_pipeline" if SHARED else "taxi_pipeline"
SCHEMA = f"airflow_{STUDENT}"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")

# The TLC's columns, with types that hold every month: some files have whole numbers where others have floats.
COLUMNS = {
    "VendorID": "integer",
    "lpep_pickup_datetime": "timestamp",
    "lpep_dropoff_datetime": "timestamp",
    "store_and_fwd_flag": "text",
    "RatecodeID": "double precision",
    "PULocationID": "integer",
    "DOLocationID": "integer",
    "passenger_count": "double precision",
    "trip_distance": "double precision",
    "fare_amount": "double precision",
    "extra": "double precision",
    "mta_tax": "double precision",
    "tip_amount": "double precision",
    "tolls_amount": "double precision",
    "ehail_fee": "double precision",
    "improvement_surcharge": "double precision",
    "total_amount": "double precision",
    "payment_type": "double precision",
    "trip_type": "double precision",
    "congestion_surcharge": "double precision",
}

log = logging.getLogger(__name__)


def dbt_project(folder: Path) -> Path:
    """Return include/dbt_project in the nearest folder above this one that has it."""
    for above in folder.parents:
        if (above / "include" / "dbt_project").is_dir():
            return above / "include" / "dbt_project"
    raise FileNotFoundError(f"There is no include/dbt_project above {folder}.")


def month_of(logical_date: datetime) -> str:
    """Return the month that a run loads.

    >>> month_of(datetime(2024, 3, 1, tzinfo=UTC))
    '2024-03'
    """
    return f"{logical_date:%Y-%m}"


def parquet_url(month: str) -> str:
    """Return the address of a month's file.

    >>> parquet_url("2024-03").removeprefix(TLC_URL)
    '/trip-data/green_tripdata_2024-03.parquet'
    """
    return f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet"


def download(url: str) -> bytes:
    """Fetch a file, or fail: at once when it isn't published, with a retry for any other fault."""
    import httpx

    response = httpx.get(url, timeout=60)
    if response.status_code in (403, 404):  # the TLC's host answers 403 for a file that it doesn't have
        raise AirflowFailException(f"{url} is not published (HTTP {response.status_code}).")
    response.raise_for_status()
    return response.content


def own_rows(content: bytes, month: str) -> "pa.Table":
    """Read a month's file and keep the rows whose pickup lies in that month."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        served = pq.read_table(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise AirflowFailException(f"The file of {month} is not Parquet: {error}") from error
    if missing := COLUMNS.keys() - set(served.column_names):
        raise AirflowFailException(f"The file of {month} lacks the columns {sorted(missing)}.")

    kept = served.filter(pc.equal(pc.strftime(served["lpep_pickup_datetime"], "%Y-%m"), month))
    log.info("%s: %d rows served, %d of them in the month", month, served.num_rows, kept.num_rows)
    if kept.num_rows == 0:
        raise AirflowFailException(f"The file of {month} has no trip in {month}.")
    return kept.select(list(COLUMNS))


def replace_month(month: str, rows: "pa.Table") -> int:
    """Put the month's rows in place of those in raw_trips, all or nothing, and return how many."""
    import pyarrow.csv
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from psycopg import sql

    table = sql.Identifier(SCHEMA, "raw_trips")
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in COLUMNS.items()
    )
    csv = io.BytesIO()
    pyarrow.csv.write_csv(rows, csv, pyarrow.csv.WriteOptions(include_header=False))

    # Leaving the first `with` commits; an error inside it rolls everything back.
    with PostgresHook("azure_pg").get_conn() as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        cursor.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table, columns))
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE date_trunc('month', lpep_pickup_datetime) = %s").format(table),
            [f"{month}-01"],
        )
        deleted = cursor.rowcount
        with cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(table)) as copy:
            copy.write(csv.getbuffer())
        loaded: int = cursor.rowcount
    log.info("%s: %d rows deleted, %d rows loaded into %s.raw_trips", month, deleted, loaded, SCHEMA)
    return loaded


def dbt(command: str) -> BashOperator:
    """Return the task that runs one dbt command on the warehouse of `azure_pg`."""
    project = str(dbt_project(FOLDER))
    return BashOperator(
        task_id=f"dbt_{command}",
        bash_command=f"dbt {command}",
        env={
            "PG_HOST": "{{ conn.azure_pg.host }}",
            "PG_PORT": "{{ conn.azure_pg.port or 5432 }}",
            "PG_USER": "{{ conn.azure_pg.login }}",
            "PG_PASSWORD": "{{ conn.azure_pg.password }}",
            "PG_DBNAME": "{{ conn.azure_pg.schema }}",
            "PG_SCHEMA": SCHEMA,
            "DBT_PROJECT_DIR": project,
            "DBT_PROFILES_DIR": project,
        },
        append_env=True,  # without it the command would see only these variables, and no PATH
    )


@dag(
    dag_id=DAG_ID,
    doc_md=__doc__,
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    on_failure_callback=HttpNotifier(
        http_conn_id="notify", json={"text": "{{ dag.dag_id }}: the run {{ run_id }} has failed."}
    ),
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline() -> None:
    """Load a month, rebuild the models, test them."""

    @task
    def ingest_taxi_month() -> int:
        dag_run = get_current_context()["dag_run"]
        month = month_of(dag_run.logical_date or dag_run.run_after)
        return replace_month(month, own_rows(download(parquet_url(month)), month))

    ingest_taxi_month() >> dbt("run") >> dbt("test")


taxi_pipeline()
