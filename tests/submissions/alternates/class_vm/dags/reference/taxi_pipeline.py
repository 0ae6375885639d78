# Right: written on the class's virtual machine: /opt/airflow, pandas reads the TLC's address itself, cwd for dbt.

from datetime import datetime, timedelta, timezone

import pandas as pd
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

NAME = "reference"
TABLE = f"airflow_{NAME}.raw_trips"


def parquet_url_for(ds):
    return f"https://d37ci6vzurychx.cloudfront.net/trip-data/green_tripdata_{ds[:7]}.parquet"


def ingest(dag_run):
    date = dag_run.logical_date or dag_run.run_after
    ds = date.strftime("%Y-%m-01")
    df = pd.read_parquet(parquet_url_for(ds))
    df = df[df.lpep_pickup_datetime.dt.strftime("%Y-%m-01") == ds]
    hook = PostgresHook("azure_pg")
    hook.run(f"CREATE SCHEMA IF NOT EXISTS airflow_{NAME}")
    engine = hook.get_sqlalchemy_engine()
    df.iloc[:0].to_sql("raw_trips", engine, schema=f"airflow_{NAME}", if_exists="append", index=False)
    with engine.begin() as conn:
        conn.exec_driver_sql(f"DELETE FROM {TABLE} WHERE to_char(lpep_pickup_datetime, 'YYYY-MM-01') = '{ds}'")
        df.to_sql("raw_trips", conn, schema=f"airflow_{NAME}", if_exists="append", index=False, method="multi",
                  chunksize=200)  # fmt: skip


def alert(context):
    message = f"{context['dag'].dag_id}: run {context['run_id']} failed"
    HttpHook("POST", http_conn_id="notify").run("airflow", data=message)


with DAG(
    dag_id=f"{NAME}_taxi_pipeline",
    description="Green taxi trips, once a month",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=alert,
    default_args={"owner": NAME, "retries": 2, "retry_delay": timedelta(minutes=10)},
    tags=[f"student:{NAME}"],
):
    ingest_taxi_month = PythonOperator(task_id="ingest_taxi_month", python_callable=ingest)
    dbt = dict(
        cwd="/opt/airflow/include/dbt_project",
        env={
            "PG_HOST": "{{ conn.azure_pg.host }}",
            "PG_PORT": "{{ conn.azure_pg.port }}",
            "PG_USER": "{{ conn.azure_pg.login }}",
            "PG_PASSWORD": "{{ conn.azure_pg.password }}",
            "PG_DBNAME": "{{ conn.azure_pg.schema }}",
            "PG_SCHEMA": f"airflow_{NAME}",
            "DBT_PROFILES_DIR": "/opt/airflow/include/dbt_project",
        },
        append_env=True,
    )
    dbt_run = BashOperator(task_id="dbt_run", bash_command="dbt run", **dbt)
    dbt_test = BashOperator(task_id="dbt_test", bash_command="dbt test", **dbt)
    ingest_taxi_month >> dbt_run >> dbt_test
