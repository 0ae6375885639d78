# Right: MERGE on a key of the month and the row's number in its file, which also deletes rows that are gone.

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

HERE = Path(__file__).resolve().parent
STUDENT = HERE.name if HERE.name != "dags" else os.environ.get("AIRFLOW_STUDENT", "default")
SCHEMA = f"airflow_{STUDENT}"
INCLUDE = next(folder / "include" for folder in HERE.parents if (folder / "include").is_dir())
SOURCE = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")

MERGE = """
MERGE INTO {schema}.raw_trips AS kept
USING incoming AS new ON kept.file_month = new.file_month AND kept.file_row = new.file_row
WHEN MATCHED THEN UPDATE SET {updates}
WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})
WHEN NOT MATCHED BY SOURCE AND kept.file_month = '{month}' THEN DELETE
"""


def alert(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook("POST", http_conn_id="notify").run("/", json={"text": f"{context['task_instance'].task_id} has failed"})


with DAG(
    dag_id="taxi_pipeline" if HERE.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2023, 12, 1),
    catchup=False,
    max_active_runs=1,
    tags=["taxi", f"student:{STUDENT}"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "on_failure_callback": alert},
) as dag:

    @task
    def ingest_taxi_month(dag_run):
        import io

        import pandas as pd
        import requests
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        month = (dag_run.logical_date or dag_run.run_after).strftime("%Y-%m")
        file = requests.get(f"{SOURCE}/trip-data/green_tripdata_{month}.parquet", timeout=60)
        file.raise_for_status()
        frame = pd.read_parquet(io.BytesIO(file.content))
        frame["file_month"] = month
        frame["file_row"] = range(len(frame))
        frame = frame[frame["lpep_pickup_datetime"].dt.strftime("%Y-%m") == month]
        names = [f'"{name}"' for name in frame.columns]

        with PostgresHook("azure_pg").get_sqlalchemy_engine().begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            frame.head(0).to_sql("raw_trips", connection, schema=SCHEMA, if_exists="append", index=False)
            connection.exec_driver_sql(
                f"CREATE UNIQUE INDEX IF NOT EXISTS raw_trips_key ON {SCHEMA}.raw_trips (file_month, file_row)"
            )
            connection.exec_driver_sql(f"CREATE TEMPORARY TABLE incoming (LIKE {SCHEMA}.raw_trips) ON COMMIT DROP")
            frame.to_sql("incoming", connection, if_exists="append", index=False)
            connection.exec_driver_sql(
                MERGE.format(
                    schema=SCHEMA,
                    month=month,
                    updates=", ".join(f"{name} = new.{name}" for name in names),
                    names=", ".join(names),
                    values=", ".join(f"new.{name}" for name in names),
                )
            )

    pg = {
        "PG_HOST": "{{ conn.azure_pg.host }}",
        "PG_PORT": "{{ conn.azure_pg.port }}",
        "PG_USER": "{{ conn.azure_pg.login }}",
        "PG_PASSWORD": "{{ conn.azure_pg.password }}",
        "PG_DBNAME": "{{ conn.azure_pg.schema }}",
        "PG_SCHEMA": SCHEMA,
        "DBT_PROJECT_DIR": str(INCLUDE / "dbt_project"),
        "DBT_PROFILES_DIR": str(INCLUDE / "dbt_project"),
    }
    dbt_run = BashOperator(task_id="dbt_run", bash_command="dbt run", env=pg, append_env=True)
    dbt_test = BashOperator(task_id="dbt_test", bash_command="dbt test", env=pg, append_env=True)
    ingest_taxi_month() >> dbt_run >> dbt_test
