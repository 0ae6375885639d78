# Right: after the load, a task for each of three columns (dynamic mapping) looks for missing values before dbt starts.

import io
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

HERE = Path(__file__).resolve().parent
STUDENT = os.environ.get("AIRFLOW_STUDENT", "default") if HERE.name == "dags" else HERE.name
SCHEMA = f"airflow_{STUDENT}"
PROJECT = next(p for p in HERE.parents if (p / "include").is_dir()) / "include" / "dbt_project"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def failure_note(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook("POST", http_conn_id="notify").run(json={"run": context["run_id"]})


@dag(
    dag_id="taxi_pipeline" if HERE.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=failure_note,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline():
    @task
    def ingest_taxi_month(dag_run=None) -> list[str]:
        import pandas as pd
        import requests

        month = (dag_run.logical_date or dag_run.run_after).strftime("%Y-%m")
        response = requests.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60)
        response.raise_for_status()
        trips = pd.read_parquet(io.BytesIO(response.content))
        trips = trips[trips["lpep_pickup_datetime"].dt.strftime("%Y-%m") == month]
        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as db:
            db.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            trips.head(0).to_sql("raw_trips", db, schema=SCHEMA, if_exists="append", index=False)
            db.exec_driver_sql(
                f"DELETE FROM {SCHEMA}.raw_trips WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') = '{month}'"
            )
            trips.to_sql("raw_trips", db, schema=SCHEMA, if_exists="append", index=False)
        return ["VendorID", "lpep_dropoff_datetime", "total_amount"]

    @task
    def look_for_nulls(column: str):
        (missing,) = PostgresHook("azure_pg").get_first(
            f'SELECT count(*) FROM {SCHEMA}.raw_trips WHERE "{column}" IS NULL'
        )
        if missing:
            raise ValueError(f"{missing} rows have no {column}")

    dbt_run, dbt_test = (
        BashOperator(
            task_id=task_id,
            bash_command=f"dbt {command} --profiles-dir .",
            cwd=str(PROJECT),
            append_env=True,
            env={
                "PG_HOST": "{{ conn.azure_pg.host }}",
                "PG_PORT": "{{ conn.azure_pg.port }}",
                "PG_USER": "{{ conn.azure_pg.login }}",
                "PG_PASSWORD": "{{ conn.azure_pg.password }}",
                "PG_DBNAME": "{{ conn.azure_pg.schema }}",
                "PG_SCHEMA": SCHEMA,
            },
        )
        for task_id, command in (("dbt_run", "run"), ("dbt_test", "test"))
    )
    look_for_nulls.expand(column=ingest_taxi_month()) >> dbt_run >> dbt_test


taxi_pipeline()
