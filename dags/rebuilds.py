"""Build a table under another name, then put it in its place."""

import os
from datetime import UTC, datetime

from airflow.sdk import dag, task

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"


@dag(
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    end_date=datetime(2024, 3, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["gotchas"],
)
def rebuilds():
    @task
    def build():
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        connection = PostgresHook("azure_pg", options=f"-c search_path={SCHEMA}").get_conn()
        connection.autocommit = True  # each statement counts at once
        connection.execute("CREATE TABLE gotchas_next AS SELECT 1 AS trips")
        connection.execute("SELECT pg_sleep(2)")  # a long query
        connection.execute("DROP TABLE IF EXISTS gotchas_trips")
        connection.execute("ALTER TABLE gotchas_next RENAME TO gotchas_trips")

    build()


rebuilds()
