# Right: with DAG, the date by template ({{ ds }}), COPY by psycopg, and a callback of the whole DAG.

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

FOLDER = Path(__file__).resolve().parent
ON_SHARED = FOLDER.name != "dags"
STUDENT = FOLDER.name if ON_SHARED else os.environ.get("AIRFLOW_STUDENT", "default")
DBT_DIR = next(up / "include" / "dbt_project" for up in FOLDER.parents if (up / "include" / "dbt_project").exists())
TLC_URL = os.getenv("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")

# A run started by hand has no ds: then the day on which it was started counts.
DS = "{{ ds if ds is defined and ds else dag_run.run_after.strftime('%Y-%m-%d') }}"

DDL = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.raw_trips (
    "VendorID" bigint, lpep_pickup_datetime timestamp, lpep_dropoff_datetime timestamp, store_and_fwd_flag text,
    "RatecodeID" float8, "PULocationID" bigint, "DOLocationID" bigint, passenger_count float8, trip_distance float8,
    fare_amount float8, extra float8, mta_tax float8, tip_amount float8, tolls_amount float8, ehail_fee float8,
    improvement_surcharge float8, total_amount float8, payment_type float8, trip_type float8,
    congestion_surcharge float8
);
"""


def parquet_url_for(ds: str) -> str:
    return f"{TLC_URL}/trip-data/green_tripdata_{ds[:7]}.parquet"


def load(month_start: str, schema: str) -> None:
    response = httpx.get(parquet_url_for(month_start), timeout=60)
    response.raise_for_status()
    trips = pq.read_table(io.BytesIO(response.content))
    trips = trips.filter(pc.equal(pc.strftime(trips["lpep_pickup_datetime"], "%Y-%m"), month_start[:7]))
    csv = io.BytesIO()
    pyarrow.csv.write_csv(trips, csv, pyarrow.csv.WriteOptions(include_header=False))
    columns = ", ".join(f'"{name}"' for name in trips.column_names)
    with PostgresHook("azure_pg").get_conn() as conn, conn.cursor() as cur:
        cur.execute(DDL.format(schema=schema))
        cur.execute(
            f"DELETE FROM {schema}.raw_trips WHERE date_trunc('month', lpep_pickup_datetime)"
            " = date_trunc('month', %s::timestamp)",
            (month_start,),
        )
        with cur.copy(f"COPY {schema}.raw_trips ({columns}) FROM STDIN (FORMAT csv)") as copy:
            copy.write(csv.getvalue())


def alert(context) -> None:
    HttpHook(method="POST", http_conn_id="notify").run(json={"text": f"Run {context['run_id']} failed."})


with DAG(
    f"{STUDENT}_taxi_pipeline" if ON_SHARED else "taxi_pipeline",
    schedule="0 0 1 * *",
    start_date=datetime(2023, 6, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=alert,
    tags=["green-taxi", f"student:{STUDENT}"],
) as dag:
    ingest = PythonOperator(
        task_id="ingest_taxi_month",
        python_callable=load,
        op_kwargs={"month_start": DS, "schema": f"airflow_{STUDENT}"},
        retries=3,
        retry_delay=timedelta(minutes=2),
    )
    run, test = (
        BashOperator(
            task_id=f"dbt_{verb}",
            bash_command=f"dbt {verb} --project-dir {DBT_DIR} --profiles-dir {DBT_DIR}",
            env={
                "PG_HOST": "{{ conn.azure_pg.host }}",
                "PG_PORT": "{{ conn.azure_pg.port }}",
                "PG_USER": "{{ conn.azure_pg.login }}",
                "PG_PASSWORD": "{{ conn.azure_pg.password }}",
                "PG_DBNAME": "{{ conn.azure_pg.schema }}",
                "PG_SCHEMA": f"airflow_{STUDENT}",
            },
            append_env=True,
            retries=1,
            retry_delay=timedelta(seconds=30),
        )
        for verb in ("run", "test")
    )
    ingest >> run >> test
