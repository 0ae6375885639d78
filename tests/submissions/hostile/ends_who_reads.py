"""Tries: have its verdict put off, by a view that ends the session of whoever reads it: a fault, as it seems.

Held by: a session of ours that is ended from within ends the submission, and not for a fault of ours.
Seen: the submission is ended for it.
"""

import os
from datetime import datetime

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def lay_a_trap() -> None:
        import psycopg

        schema = f"airflow_{os.environ['AIRFLOW_STUDENT']}"
        with psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"]) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
            connection.execute(
                f"CREATE VIEW {schema}.raw_trips AS SELECT pg_terminate_backend(pg_backend_pid()) AS one"
            )

    lay_a_trap()


pipeline()
