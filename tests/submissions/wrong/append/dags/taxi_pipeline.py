# Wrong on purpose: each run adds its rows to those that are there.
# Loses: target.idempotent

import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, get_current_context, task

SCHEMA = f"airflow_{os.environ['AIRFLOW_STUDENT']}"
DBT_PROJECT = Path(__file__).parent.parent / "include" / "dbt_project"
DBT = {
    "PG_HOST": "{{ conn.azure_pg.host }}",
    "PG_PORT": "{{ conn.azure_pg.port }}",
    "PG_USER": "{{ conn.azure_pg.login }}",
    "PG_PASSWORD": "{{ conn.azure_pg.password }}",
    "PG_DBNAME": "{{ conn.azure_pg.schema }}",
    "PG_SCHEMA": SCHEMA,
}


@dag(schedule="@monthly", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1, tags=["taxi"])
def taxi_pipeline() -> None:
    @task
    def ingest_taxi_month() -> None:
        month = f"{get_current_context()['dag_run'].logical_date:%Y-%m}"
        trips = pd.read_parquet(f"{os.environ['TLC_URL']}/trip-data/green_tripdata_{month}.parquet")
        trips = trips[trips["lpep_pickup_datetime"].dt.strftime("%Y-%m") == month]
        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            trips.to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)

    dbt_run = BashOperator(
        task_id="dbt_run",
        bash_command=f"dbt run --project-dir {DBT_PROJECT} --profiles-dir {DBT_PROJECT}",
        env=DBT,
        append_env=True,
    )
    dbt_test = BashOperator(
        task_id="dbt_test",
        bash_command=f"dbt test --project-dir {DBT_PROJECT} --profiles-dir {DBT_PROJECT}",
        env=DBT,
        append_env=True,
    )
    ingest_taxi_month() >> dbt_run >> dbt_test


taxi_pipeline()
