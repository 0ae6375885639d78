# Right: the notification is a task (HttpOperator, one_failed), and a last task keeps the run red when one failed.

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

HERE = Path(__file__).resolve().parent
STUDENT = os.environ.get("AIRFLOW_STUDENT", "default") if HERE.name == "dags" else HERE.name
SCHEMA = f"airflow_{STUDENT}"
PROJECT = next(p for p in HERE.parents if (p / "include").is_dir()) / "include" / "dbt_project"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


@dag(
    dag_id="taxi_pipeline" if HERE.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline():
    @task
    def ingest_taxi_month(dag_run=None):
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

    def dbt(command):
        return BashOperator(
            task_id=f"dbt_{command}",
            bash_command=f"dbt {command} --project-dir {PROJECT} --profiles-dir {PROJECT}",
            env={
                "PG_HOST": "{{ conn.azure_pg.host }}",
                "PG_PORT": "{{ conn.azure_pg.port }}",
                "PG_USER": "{{ conn.azure_pg.login }}",
                "PG_PASSWORD": "{{ conn.azure_pg.password }}",
                "PG_DBNAME": "{{ conn.azure_pg.schema }}",
                "PG_SCHEMA": SCHEMA,
            },
            append_env=True,
        )

    notify = HttpOperator(
        task_id="notify",
        http_conn_id="notify",
        method="POST",
        endpoint="/",
        data="a task of {{ run_id }} failed",
        trigger_rule="one_failed",
    )

    @task(trigger_rule="all_done", retries=0)
    def keep_red(dag_run=None, ti=None):
        failed = [
            task_id
            for task_id, state in ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id].items()
            if state in ("failed", "upstream_failed")
        ]
        if failed:
            raise AirflowFailException(f"Failed, or never started: {', '.join(failed)}")

    steps = [ingest_taxi_month(), dbt("run"), dbt("test")]
    steps[0] >> steps[1] >> steps[2]
    steps >> notify
    [*steps, notify] >> keep_red()


taxi_pipeline()
