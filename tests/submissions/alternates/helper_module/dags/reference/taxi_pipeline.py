# Right: the pure functions are in a module beside the DAG; a DAG of the first chapters is in the folder above.

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

STUDENT = FOLDER.name
SCHEMA = f"airflow_{STUDENT}"
PROJECT = next(p for p in FOLDER.parents if (p / "include").is_dir()) / "include" / "dbt_project"


def failed(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook("POST", http_conn_id="notify").run(json={"task": context["ti"].task_id})


@dag(
    dag_id=f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "on_failure_callback": failed},
    tags=["taxi", f"student:{STUDENT}"],
)
def taxi_pipeline():
    @task
    def ingest_taxi_month(dag_run=None):
        from tlc import trips_of

        ds = (dag_run.logical_date or dag_run.run_after).strftime("%Y-%m-%d")
        trips = trips_of(ds)
        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            trips.head(0).to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)
            connection.exec_driver_sql(
                f"DELETE FROM {SCHEMA}.raw_trips WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') = '{ds[:7]}'"
            )
            trips.to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)

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

    ingest_taxi_month() >> dbt("run") >> dbt("test")


taxi_pipeline()
