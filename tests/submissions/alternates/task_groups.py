# Right: a graph with more in it: groups, a look at the source first, the zones beside the trips, a count at the end.

import csv
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup, dag, get_current_context, task

FOLDER = Path(__file__).resolve().parent
STUDENT = os.environ.get("AIRFLOW_STUDENT", "default") if FOLDER.name == "dags" else FOLDER.name
SCHEMA = f"airflow_{STUDENT}"
DBT_PROJECT = next(p for p in FOLDER.parents if (p / "include").is_dir()) / "include" / "dbt_project"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")
DBT_ENV = {
    "PG_HOST": "{{ conn.azure_pg.host }}",
    "PG_PORT": "{{ conn.azure_pg.port }}",
    "PG_USER": "{{ conn.azure_pg.login }}",
    "PG_PASSWORD": "{{ conn.azure_pg.password }}",
    "PG_DBNAME": "{{ conn.azure_pg.schema }}",
    "PG_SCHEMA": SCHEMA,
}


def run_month() -> str:
    run = get_current_context()["dag_run"]
    return (run.logical_date or run.run_after).strftime("%Y-%m")


def notify_once(context) -> None:
    """Tell of the run's failure: called for the run, not for each of its tasks."""
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook("POST", http_conn_id="notify").run(json={"run_id": context["run_id"], "reason": str(context["reason"])})


@dag(
    dag_id="taxi_pipeline" if FOLDER.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=notify_once,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline():
    @task
    def create_schema():
        PostgresHook("azure_pg").run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

    @task
    def ingest_taxi_zones():
        text = httpx.get(f"{TLC_URL}/misc/taxi_zone_lookup.csv", timeout=60).raise_for_status().text
        zones = list(csv.reader(io.StringIO(text)))[1:]
        with PostgresHook("azure_pg").get_conn() as connection, connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {SCHEMA}.raw_zones"
                " (location_id int PRIMARY KEY, borough text, zone text, service_zone text)"
            )
            cursor.executemany(
                f"INSERT INTO {SCHEMA}.raw_zones VALUES (%s, %s, %s, %s) ON CONFLICT (location_id) DO UPDATE"
                " SET borough = excluded.borough, zone = excluded.zone, service_zone = excluded.service_zone",
                zones,
            )

    @task
    def ingest_taxi_month():
        import pandas as pd

        month = run_month()
        response = httpx.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60).raise_for_status()
        trips = pd.read_parquet(io.BytesIO(response.content))
        trips = trips[trips.lpep_pickup_datetime.dt.strftime("%Y-%m") == month]
        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as connection:
            trips.head(0).to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)
            connection.exec_driver_sql(
                f"DELETE FROM {SCHEMA}.raw_trips WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') = '{month}'"
            )
            trips.to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)

    @task
    def count_trips():
        month = run_month()
        (rows,) = PostgresHook("azure_pg").get_first(
            f"SELECT count(*) FROM {SCHEMA}.fct_trips WHERE pickup_month = %s", parameters=[f"{month}-01"]
        )
        print(f"{rows} trips of {month}")

    with TaskGroup("ingest", prefix_group_id=False) as ingest:
        ready = EmptyOperator(task_id="ready")
        ready >> [ingest_taxi_month(), ingest_taxi_zones()]
    with TaskGroup("transform", prefix_group_id=False) as transform:
        where = f"--project-dir {DBT_PROJECT} --profiles-dir {DBT_PROJECT}"
        dbt_run = BashOperator(task_id="dbt_run", bash_command=f"dbt run {where}", env=DBT_ENV, append_env=True)
        dbt_test = BashOperator(task_id="dbt_test", bash_command=f"dbt test {where}", env=DBT_ENV, append_env=True)
        dbt_run >> dbt_test
    create_schema() >> ingest >> transform >> count_trips()


taxi_pipeline()
