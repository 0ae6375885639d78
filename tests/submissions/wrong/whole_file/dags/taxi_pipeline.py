# Wrong on purpose: deletes the month's rows, and loads the whole file, with the rows that it dates in other months.
# Loses: target.backfill-rows target.idempotent

import os
from datetime import datetime
from pathlib import Path

import pandas as pd
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

STUDENT = os.environ["AIRFLOW_STUDENT"]
DBT_PROJECT = Path(__file__).parent.parent / "include" / "dbt_project"
CONNECTION = "\n".join(
    [
        "export PG_HOST={{ conn.azure_pg.host }} PG_PORT={{ conn.azure_pg.port }} PG_DBNAME={{ conn.azure_pg.schema }}",
        "export PG_USER={{ conn.azure_pg.login }} PG_PASSWORD='{{ conn.azure_pg.password }}'",
        f"export PG_SCHEMA=airflow_{STUDENT}",
        f"cd {DBT_PROJECT}",
    ]
)

with DAG(
    "taxi_pipeline", schedule="0 0 1 * *", start_date=datetime(2023, 1, 1), max_active_runs=1, tags=["green", "taxi"]
):

    @task(retries=1)
    def ingest_taxi_month(logical_date: datetime | None = None) -> None:
        month = f"{logical_date:%Y-%m}"
        trips = pd.read_parquet(f"{os.environ['TLC_URL']}/trip-data/green_tripdata_{month}.parquet")
        schema = f"airflow_{STUDENT}"
        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            trips.head(0).to_sql("raw_trips", connection, schema=schema, if_exists="append", index=False)
            connection.exec_driver_sql(
                f"DELETE FROM {schema}.raw_trips WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') = '{month}'"
            )
            trips.to_sql("raw_trips", connection, schema=schema, if_exists="append", index=False)

    dbt_run = BashOperator(task_id="dbt_run", bash_command=f"{CONNECTION}\ndbt run")
    dbt_test = BashOperator(task_id="dbt_test", bash_command=f"{CONNECTION}\ndbt test")
    ingest_taxi_month() >> dbt_run >> dbt_test
