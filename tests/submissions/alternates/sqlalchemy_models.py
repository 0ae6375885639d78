# Right: SQLAlchemy's session and reflection; the load is deleted and inserted in one unit of work.

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

HERE = Path(__file__).parent
STUDENT = HERE.name if HERE.name != "dags" else os.environ.get("AIRFLOW_STUDENT", "default")
SCHEMA = "airflow_" + STUDENT


def project_folder() -> str:
    for folder in HERE.parents:
        if (folder / "include" / "dbt_project").is_dir():
            return str(folder / "include" / "dbt_project")
    raise FileNotFoundError("include/dbt_project")


def month_bounds(day: datetime) -> tuple[datetime, datetime]:
    first = datetime(day.year, day.month, 1)
    return first, datetime(day.year + day.month // 12, day.month % 12 + 1, 1)


def ingest(dag_run) -> int:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    import requests
    from sqlalchemy import MetaData, Table, text
    from sqlalchemy.orm import Session

    first, after = month_bounds(dag_run.logical_date or dag_run.run_after)
    base = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")
    with requests.Session() as http:
        served = http.get(f"{base}/trip-data/green_tripdata_{first:%Y-%m}.parquet", timeout=60)
    served.raise_for_status()
    table = pq.read_table(io.BytesIO(served.content))

    sql = {pa.types.is_timestamp: "timestamp", pa.types.is_floating: "double precision", pa.types.is_integer: "numeric"}
    columns = ", ".join(
        f'"{field.name}" ' + next((name for test, name in sql.items() if test(field.type)), "varchar")
        for field in table.schema
    )
    engine = PostgresHook("azure_pg").get_sqlalchemy_engine()
    with Session(engine) as session, session.begin():
        session.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        session.execute(text(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.raw_trips ({columns})"))
        raw_trips = Table("raw_trips", MetaData(), schema=SCHEMA, autoload_with=session.connection())
        pickup = raw_trips.c.lpep_pickup_datetime
        session.execute(raw_trips.delete().where(pickup >= first).where(pickup < after))
        rows = [row for row in table.to_pylist() if first <= row["lpep_pickup_datetime"] < after]
        for start in range(0, len(rows), 1000):
            session.execute(raw_trips.insert(), rows[start : start + 1000])
    return len(rows)


def complain(context) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook("POST", http_conn_id="notify")
    hook.run("failed", json={"run": context["run_id"], "task": context["ti"].task_id, "try": context["ti"].try_number})


def connection_variables() -> dict[str, str]:
    fields = {"HOST": "host", "PORT": "port", "USER": "login", "PASSWORD": "password", "DBNAME": "schema"}
    return {f"PG_{name}": f"{{{{ conn.azure_pg.{field} }}}}" for name, field in fields.items()}


with DAG(
    dag_id="taxi_pipeline" if HERE.name == "dags" else f"{STUDENT}_taxi_pipeline",
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["taxi", f"student:{STUDENT}"],
    default_args={"retries": 4, "retry_delay": timedelta(seconds=90), "on_failure_callback": [complain]},
):
    ingest_task = PythonOperator(task_id="ingest_taxi_month", python_callable=ingest)
    dbt_tasks = [
        BashOperator(
            task_id=task_id,
            bash_command=command,
            cwd=project_folder(),
            env=connection_variables() | {"PG_SCHEMA": SCHEMA, "DBT_PROFILES_DIR": project_folder()},
            append_env=True,
        )
        for task_id, command in {"dbt_run": "dbt run", "dbt_test": "dbt test"}.items()
    ]
    ingest_task >> dbt_tasks[0] >> dbt_tasks[1]
