"""Tries: have dbt run SQL with more power than the student has, in a hook, and in a macro of dbt's own name.

Held by: whoever starts it, dbt's SQL is the student's user's, who may not.
Seen: both ran, and their user is no superuser, and the witness has seen the table that they made.
"""

import os
import subprocess
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from airflow.sdk import dag, task

PROJECT = Path(__file__).resolve().parents[1] / "include" / "dbt_project"


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run dbt."""

    @task
    def dbt_run() -> None:
        there = urlsplit(os.environ["AIRFLOW_CONN_AZURE_PG"])
        given = {
            "PG_HOST": there.hostname, "PG_PORT": str(there.port), "PG_USER": there.username,
            "PG_PASSWORD": there.password, "PG_DBNAME": there.path[1:],
            "PG_SCHEMA": f"airflow_{os.environ['AIRFLOW_STUDENT']}",
        }  # fmt: skip
        command = ["dbt", "run", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        subprocess.run(command, env={**os.environ, **given}, check=True)

    dbt_run()


pipeline()
