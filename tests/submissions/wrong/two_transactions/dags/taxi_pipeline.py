# Wrong on purpose: deletes the month's rows in one transaction, and loads them in another.
# Loses: stretch.atomic-load

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

SCHEMA = f"airflow_{os.environ['AIRFLOW_STUDENT']}"


def load_month(dag_run: Any) -> None:
    first = pd.Timestamp(dag_run.logical_date.year, dag_run.logical_date.month, 1)
    following = first + pd.offsets.MonthBegin()
    trips = pd.read_parquet(f"{os.environ['TLC_URL']}/trip-data/green_tripdata_{first:%Y-%m}.parquet")
    trips = trips[trips["lpep_pickup_datetime"].between(first, following, inclusive="left")]
    warehouse = PostgresHook("azure_pg")
    engine = warehouse.get_sqlalchemy_engine()
    warehouse.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    trips.head(0).to_sql("raw_trips", engine, schema=SCHEMA, if_exists="append", index=False)
    warehouse.run(
        f"DELETE FROM {SCHEMA}.raw_trips WHERE lpep_pickup_datetime >= %s AND lpep_pickup_datetime < %s",
        parameters=[first, following],
    )
    trips.to_sql("raw_trips", engine, schema=SCHEMA, if_exists="append", index=False, method="multi", chunksize=500)


dag = DAG(
    dag_id="taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    tags=["taxi"],
)
ingest_taxi_month = PythonOperator(task_id="ingest_taxi_month", python_callable=load_month, dag=dag)
dbt = {
    command: BashOperator(
        task_id=f"dbt_{command}",
        bash_command=f"dbt {command}",
        cwd=str(Path(__file__).parent.parent / "include" / "dbt_project"),
        env={
            "PG_HOST": "{{ conn.azure_pg.host }}",
            "PG_PORT": "{{ conn.azure_pg.port }}",
            "PG_USER": "{{ conn.azure_pg.login }}",
            "PG_PASSWORD": "{{ conn.azure_pg.password }}",
            "PG_DBNAME": "{{ conn.azure_pg.schema }}",
            "PG_SCHEMA": SCHEMA,
        },
        append_env=True,
        dag=dag,
    )
    for command in ("run", "test")
}
ingest_taxi_month >> dbt["run"] >> dbt["test"]
