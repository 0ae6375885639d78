# Right: tables are made by SQLExecuteQueryOperator in a task of their own; hook.insert_rows in one commit.

import io
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

HERE = Path(__file__).resolve().parent
STUDENT = os.environ.get("AIRFLOW_STUDENT", "default") if HERE.name == "dags" else HERE.name
SCHEMA = f"airflow_{STUDENT}"
PROJECT = next(p for p in HERE.parents if (p / "include").is_dir()) / "include" / "dbt_project"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS {{ params.schema }}.raw_trips (
    "VendorID" integer,
    lpep_pickup_datetime timestamp without time zone,
    lpep_dropoff_datetime timestamp without time zone,
    store_and_fwd_flag text,
    "RatecodeID" numeric,
    "PULocationID" integer,
    "DOLocationID" integer,
    passenger_count numeric,
    trip_distance numeric,
    fare_amount numeric,
    extra numeric,
    mta_tax numeric,
    tip_amount numeric,
    tolls_amount numeric,
    ehail_fee numeric,
    improvement_surcharge numeric,
    total_amount numeric,
    payment_type numeric,
    trip_type numeric,
    congestion_surcharge numeric
)
"""


def ingest(dag_run):
    import pyarrow.parquet as pq
    import requests

    day = dag_run.logical_date or dag_run.run_after
    month = day.strftime("%Y-%m")
    response = requests.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60)
    response.raise_for_status()
    rows = [
        tuple(row.values())
        for row in pq.read_table(io.BytesIO(response.content)).to_pylist()
        if row["lpep_pickup_datetime"].strftime("%Y-%m") == month
    ]
    if not rows:
        raise ValueError(f"no trips in {month}")
    connection = PostgresHook("azure_pg").get_conn()
    cursor = connection.cursor()
    try:
        cursor.execute(
            f"DELETE FROM {SCHEMA}.raw_trips WHERE extract(year FROM lpep_pickup_datetime) = %s"
            " AND extract(month FROM lpep_pickup_datetime) = %s",
            (day.year, day.month),
        )
        for row in rows:
            cursor.execute(f"INSERT INTO {SCHEMA}.raw_trips VALUES ({', '.join(['%s'] * len(row))})", row)
    except Exception:
        connection.rollback()
        raise
    else:
        connection.commit()
    finally:
        cursor.close()
        connection.close()


def shout(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook("POST", http_conn_id="notify").run(json={"text": f"{context['ti'].task_id} in {context['run_id']}"})


with DAG(
    dag_id="taxi_pipeline" if HERE.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="0 0 1 * *",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["taxi", f"student:{STUDENT}"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "on_failure_callback": shout},
):
    create_schema = SQLExecuteQueryOperator(
        task_id="create_schema", conn_id="azure_pg", sql=f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"
    )
    create_table = SQLExecuteQueryOperator(
        task_id="create_table", conn_id="azure_pg", sql=CREATE_TABLE, params={"schema": SCHEMA}
    )
    ingest_taxi_month = PythonOperator(task_id="ingest_taxi_month", python_callable=ingest)
    dbt_env = {
        "PG_HOST": "{{ conn.azure_pg.host }}",
        "PG_PORT": "{{ conn.azure_pg.port }}",
        "PG_USER": "{{ conn.azure_pg.login }}",
        "PG_PASSWORD": "{{ conn.azure_pg.password }}",
        "PG_DBNAME": "{{ conn.azure_pg.schema }}",
        "PG_SCHEMA": SCHEMA,
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_PROJECT_DIR": str(PROJECT),
    }
    dbt_run = BashOperator(task_id="dbt_run", bash_command="dbt run --full-refresh", env=dbt_env, append_env=True)
    dbt_test = BashOperator(task_id="dbt_test", bash_command="dbt test", env=dbt_env, append_env=True)
    create_schema >> create_table >> ingest_taxi_month >> dbt_run >> dbt_test
