# Right: classic operators with dag=dag, requests, and pandas' to_sql in one transaction.

import io
import os
from datetime import datetime, timedelta

import pandas as pd
import requests
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, BaseHook

here = os.path.dirname(os.path.abspath(__file__))
if os.path.basename(here) == "dags":
    student = os.environ.get("AIRFLOW_STUDENT", "default")
    dag_id = "taxi_pipeline"
    project = os.path.join(here, "..", "include", "dbt_project")
else:
    student = os.path.basename(here)
    dag_id = f"{student}_taxi_pipeline"
    project = os.path.join(here, "..", "..", "include", "dbt_project")
schema = f"airflow_{student}"
base_url = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def tell_failure(context):
    notify = BaseHook.get_connection("notify")
    task = context["task_instance"]
    requests.post(f"http://{notify.host}:{notify.port}/", json={"text": f"{task.task_id} failed"}, timeout=10)


def ingest(**context):
    run = context["dag_run"]
    month = (run.logical_date or run.run_after).strftime("%Y-%m")
    answer = requests.get(f"{base_url}/trip-data/green_tripdata_{month}.parquet", timeout=60)
    answer.raise_for_status()
    df = pd.read_parquet(io.BytesIO(answer.content))
    df = df[df["lpep_pickup_datetime"].dt.strftime("%Y-%m") == month]
    engine = PostgresHook(postgres_conn_id="azure_pg").get_sqlalchemy_engine()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        df.head(0).to_sql("raw_trips", connection, schema=schema, if_exists="append", index=False)
        connection.exec_driver_sql(
            f"DELETE FROM {schema}.raw_trips WHERE to_char(lpep_pickup_datetime, 'YYYY-MM') = '{month}'"
        )
        df.to_sql("raw_trips", connection, schema=schema, if_exists="append", index=False)
    print(f"{len(df)} rows of {month} are in {schema}.raw_trips")


dag = DAG(
    dag_id=dag_id,
    schedule="@monthly",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["taxi", f"student:{student}"],
    default_args={
        "owner": student,
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "on_failure_callback": tell_failure,
    },
)

env = {
    "PG_HOST": "{{ conn.azure_pg.host }}",
    "PG_PORT": "{{ conn.azure_pg.port }}",
    "PG_USER": "{{ conn.azure_pg.login }}",
    "PG_PASSWORD": "{{ conn.azure_pg.password }}",
    "PG_DBNAME": "{{ conn.azure_pg.schema }}",
    "PG_SCHEMA": schema,
}

ingest_taxi_month = PythonOperator(task_id="ingest_taxi_month", python_callable=ingest, dag=dag)
dbt_run = BashOperator(
    task_id="dbt_run",
    bash_command=f"cd {project} && dbt run --profiles-dir .",
    env=env,
    append_env=True,
    dag=dag,
)
dbt_test = BashOperator(
    task_id="dbt_test",
    bash_command=f"cd {project} && dbt test --profiles-dir .",
    env=env,
    append_env=True,
    dag=dag,
)

ingest_taxi_month.set_downstream(dbt_run)
dbt_run.set_downstream(dbt_test)
