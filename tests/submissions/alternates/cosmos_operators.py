# Right: dbt by Cosmos' local operators, with a profile made from the connection; COPY through pandas' method.

import csv
import io
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task
from cosmos import ProfileConfig
from cosmos.operators.local import DbtRunLocalOperator, DbtTestLocalOperator
from cosmos.profiles import PostgresUserPasswordProfileMapping

FOLDER = Path(__file__).resolve().parent
SHARED = FOLDER.name != "dags"
STUDENT = FOLDER.name if SHARED else os.environ.get("AIRFLOW_STUDENT", "default")
SCHEMA = f"airflow_{STUDENT}"
PROJECT = FOLDER.parents[1 if SHARED else 0] / "include" / "dbt_project"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")

profile = ProfileConfig(
    profile_name="taxi",
    target_name="airflow",
    profile_mapping=PostgresUserPasswordProfileMapping(conn_id="azure_pg", profile_args={"schema": SCHEMA}),
)
cosmos = {
    "project_dir": str(PROJECT),
    "profile_config": profile,
    "env": {"PG_SCHEMA": SCHEMA},
    "append_env": True,
    "install_deps": False,
}


def copy_rows(table, connection, columns, rows):
    """Load a frame's rows by COPY: pandas calls this for to_sql(method=…)."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.connection.cursor() as cursor:
        with cursor.copy(f"COPY {table.schema}.{table.name} ({names}) FROM STDIN (FORMAT csv)") as copy:
            copy.write(text.getvalue())


def page_me(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook(http_conn_id="notify").run(endpoint="/page", json={"task": context["ti"].task_id})


with DAG(
    dag_id=f"{STUDENT}_taxi_pipeline" if SHARED else "taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "on_failure_callback": page_me},
    tags=["taxi", "cosmos", f"student:{STUDENT}"],
):

    @task
    def ingest_taxi_month(dag_run):
        import pandas as pd
        import requests
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        month = f"{dag_run.logical_date or dag_run.run_after:%Y-%m}"
        answer = requests.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60)
        answer.raise_for_status()
        trips = pd.read_parquet(io.BytesIO(answer.content))
        whole = trips.select_dtypes("integer").columns.difference(["VendorID", "PULocationID", "DOLocationID"])
        trips[whole] = trips[whole].astype("float64")
        trips = trips[trips["lpep_pickup_datetime"].dt.strftime("%Y-%m") == month]
        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            trips[:0].to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)
            connection.exec_driver_sql(
                f"DELETE FROM {SCHEMA}.raw_trips WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') = '{month}'"
            )
            trips.to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False, method=copy_rows)

    dbt_run = DbtRunLocalOperator(task_id="dbt_run", **cosmos)
    dbt_test = DbtTestLocalOperator(task_id="dbt_test", **cosmos)
    ingest_taxi_month() >> dbt_run >> dbt_test
