# Right: TaskFlow throughout, pandas with chunks, callbacks by default_args; dbt's tasks are short shell commands.

import os
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, get_current_context, task

TLC = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net") + "/trip-data"
HERE = Path(__file__).parent.name
STUDENT = os.environ.get("AIRFLOW_STUDENT") if HERE == "dags" else HERE


def dbt_project() -> Path:
    folder = Path(__file__).resolve().parent
    while not (folder / "include").is_dir():
        folder = folder.parent
    return folder / "include" / "dbt_project"


def notify_failure(context):
    from airflow.providers.http.hooks.http import HttpHook

    ti = context["ti"]
    HttpHook("POST", http_conn_id="notify").run("/", data=f"{ti.dag_id}.{ti.task_id} failed, see {ti.log_url}")


DBT_COMMAND = """
export PG_HOST='{{ conn.azure_pg.host }}' PG_PORT='{{ conn.azure_pg.port or 5432 }}'
export PG_USER='{{ conn.azure_pg.login }}' PG_PASSWORD='{{ conn.azure_pg.password }}'
export PG_DBNAME='{{ conn.azure_pg.schema }}' PG_SCHEMA='airflow_{{ params.student }}'
cd {{ params.project }}
dbt {{ params.verb }} --profiles-dir .
"""


@dag(
    dag_id="taxi_pipeline" if HERE == "dags" else f"{HERE}_taxi_pipeline",
    schedule="@monthly",
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1), "on_failure_callback": notify_failure},
    tags=[f"student:{STUDENT}", "taxi", "monthly"],
)
def taxi_pipeline():
    @task
    def ingest_taxi_month():
        import pandas as pd
        import requests
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        context = get_current_context()
        when: datetime = context["dag_run"].logical_date or context["dag_run"].run_after
        first = pd.Timestamp(when.year, when.month, 1)
        after = first + pd.DateOffset(months=1)

        response = requests.get(f"{TLC}/green_tripdata_{first:%Y-%m}.parquet", timeout=60)
        response.raise_for_status()
        trips = pd.read_parquet(BytesIO(response.content))
        trips = trips.loc[(trips.lpep_pickup_datetime >= first) & (trips.lpep_pickup_datetime < after)]

        hook = PostgresHook("azure_pg")
        hook.run(f"CREATE SCHEMA IF NOT EXISTS airflow_{STUDENT}")
        with hook.get_sqlalchemy_engine().begin() as con:
            where = {"con": con, "name": "raw_trips", "schema": f"airflow_{STUDENT}", "index": False}
            trips.iloc[:0].to_sql(**where, if_exists="append")
            con.exec_driver_sql(
                f"DELETE FROM airflow_{STUDENT}.raw_trips"
                " WHERE lpep_pickup_datetime >= %(first)s AND lpep_pickup_datetime < %(after)s",
                {"first": first.to_pydatetime(), "after": after.to_pydatetime()},
            )
            trips.to_sql(**where, if_exists="append", chunksize=500, method="multi")
        return len(trips)

    settings = {"student": STUDENT, "project": str(dbt_project())}
    dbt_run = BashOperator(task_id="dbt_run", bash_command=DBT_COMMAND, params={**settings, "verb": "run"})
    dbt_test = BashOperator(task_id="dbt_test", bash_command=DBT_COMMAND, params={**settings, "verb": "test"})

    ingest_taxi_month() >> dbt_run >> dbt_test


taxi_pipeline()
