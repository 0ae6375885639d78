# Right: a staging table that a setup task makes and a teardown task drops; the month is replaced in one transaction.

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, setup, task, teardown

HERE = Path(__file__).resolve().parent
STUDENT = os.environ.get("AIRFLOW_STUDENT", "default") if HERE.name == "dags" else HERE.name
SCHEMA = f"airflow_{STUDENT}"
PROJECT = next(p for p in HERE.parents if (p / "include").is_dir()) / "include" / "dbt_project"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def speak_up(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook("POST", http_conn_id="notify").run(json={"task": context["ti"].task_id})


@dag(
    dag_id="taxi_pipeline" if HERE.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "on_failure_callback": speak_up},
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline():
    @setup
    def clear_staging():
        PostgresHook("azure_pg").run(
            [f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", f"DROP TABLE IF EXISTS {SCHEMA}.staged_trips"]
        )

    @teardown
    def drop_staging():
        PostgresHook("azure_pg").run(f"DROP TABLE IF EXISTS {SCHEMA}.staged_trips")

    @task
    def ingest_taxi_month(dag_run=None):
        import httpx
        import pandas as pd

        month = (dag_run.logical_date or dag_run.run_after).strftime("%Y-%m")
        response = httpx.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60)
        response.raise_for_status()
        trips = pd.read_parquet(io.BytesIO(response.content))
        for column in ("RatecodeID", "passenger_count", "payment_type", "trip_type"):
            trips[column] = trips[column].astype("float64")
        hook = PostgresHook("azure_pg")
        engine = hook.get_sqlalchemy_engine()
        trips.to_sql("staged_trips", engine, schema=SCHEMA, if_exists="replace", index=False)
        in_month = f"to_char(lpep_pickup_datetime, 'YYYY-MM') = '{month}'"
        hook.run(
            [
                f"CREATE TABLE IF NOT EXISTS {SCHEMA}.raw_trips (LIKE {SCHEMA}.staged_trips)",
                f"DELETE FROM {SCHEMA}.raw_trips WHERE {in_month}",
                f"INSERT INTO {SCHEMA}.raw_trips SELECT * FROM {SCHEMA}.staged_trips WHERE {in_month}",
            ],
            autocommit=False,
        )

    env = {
        "PG_HOST": "{{ conn.azure_pg.host }}",
        "PG_PORT": "{{ conn.azure_pg.port }}",
        "PG_USER": "{{ conn.azure_pg.login }}",
        "PG_PASSWORD": "{{ conn.azure_pg.password }}",
        "PG_DBNAME": "{{ conn.azure_pg.schema }}",
        "PG_SCHEMA": SCHEMA,
    }
    where = f"--project-dir {PROJECT} --profiles-dir {PROJECT}"
    dbt_run = BashOperator(task_id="dbt_run", bash_command=f"dbt run {where}", env=env, append_env=True)
    dbt_test = BashOperator(task_id="dbt_test", bash_command=f"dbt test {where}", env=env, append_env=True)

    before, loaded, after = clear_staging(), ingest_taxi_month(), drop_staging()
    before >> loaded >> after
    before >> after
    loaded >> dbt_run >> dbt_test


taxi_pipeline()
