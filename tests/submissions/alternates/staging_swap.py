# Right: builds the whole next raw_trips beside the old one, and swaps the two by renaming, in one transaction.

import io
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

FILE = Path(__file__).resolve()
LOCAL = FILE.parent.name == "dags"
STUDENT = os.environ.get("AIRFLOW_STUDENT", "default") if LOCAL else FILE.parent.name
S = f"airflow_{STUDENT}"
DBT = FILE.parents[1 if LOCAL else 2] / "include" / "dbt_project"
URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net") + "/trip-data/green_tripdata_{}.parquet"


def notify(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook(http_conn_id="notify", method="POST").run(json={"text": f"{context['ti']} failed"})


@dag(
    dag_id="taxi_pipeline" if LOCAL else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "on_failure_callback": notify},
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline():
    @task(task_id="ingest_taxi_month")
    def ingest(dag_run=None):
        import httpx
        import pandas as pd

        month = (dag_run.logical_date or dag_run.run_after).strftime("%Y-%m")
        response = httpx.get(URL.format(month), timeout=60)
        response.raise_for_status()
        df = pd.read_parquet(io.BytesIO(response.content))
        df = df[df["lpep_pickup_datetime"].dt.strftime("%Y-%m") == month]

        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as db:
            db.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {S}")
            db.exec_driver_sql(f"DROP TABLE IF EXISTS {S}.raw_trips_next")
            df.head(0).to_sql("raw_trips", db, schema=S, if_exists="append", index=False)
            db.exec_driver_sql(f"CREATE TABLE {S}.raw_trips_next (LIKE {S}.raw_trips)")
            db.exec_driver_sql(
                f"INSERT INTO {S}.raw_trips_next SELECT * FROM {S}.raw_trips"
                f" WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') <> '{month}'"
            )
            df.to_sql("raw_trips_next", db, schema=S, if_exists="append", index=False)
            db.exec_driver_sql(f"DROP TABLE {S}.raw_trips CASCADE")  # and dbt's views of it, which dbt makes anew
            db.exec_driver_sql(f"ALTER TABLE {S}.raw_trips_next RENAME TO raw_trips")

    env = {
        "PG_HOST": "{{ conn.azure_pg.host }}",
        "PG_PORT": "{{ conn.azure_pg.port }}",
        "PG_USER": "{{ conn.azure_pg.login }}",
        "PG_PASSWORD": "{{ conn.azure_pg.password }}",
        "PG_DBNAME": "{{ conn.azure_pg.schema }}",
        "PG_SCHEMA": S,
    }
    where = f"--project-dir {DBT} --profiles-dir {DBT}"
    dbt_run = BashOperator(task_id="dbt_run", bash_command=f"dbt run {where}", env=env, append_env=True)
    dbt_test = BashOperator(task_id="dbt_test", bash_command=f"dbt test {where}", env=env, append_env=True)
    ingest() >> dbt_run >> dbt_test


taxi_pipeline()
