"""Load a month's pickup times in three ways."""

import io
import os

from airflow.sdk import dag, get_current_context, task

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def load(table, *, delete=False, own=False):
    """Load the run's month into a table; one transaction."""
    import httpx
    import pyarrow.parquet as pq
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from psycopg.sql import SQL, Identifier

    month, name = get_current_context()["ds"][:7], Identifier(table)
    answer = httpx.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60).raise_for_status()
    rows = pq.read_table(io.BytesIO(answer.content))["lpep_pickup_datetime"].to_pylist()
    with PostgresHook("azure_pg", options=f"-c search_path={SCHEMA}").get_conn() as connection:
        cursor = connection.cursor()
        cursor.execute(SQL("CREATE TABLE IF NOT EXISTS {} (pickup timestamp)").format(name))
        if delete:
            cursor.execute(SQL("DELETE FROM {} WHERE to_char(pickup, 'YYYY-MM') = %s").format(name), [month])
        with cursor.copy(SQL("COPY {} FROM STDIN").format(name)) as copy:
            for row in rows:
                if not own or f"{row:%Y-%m}" == month:
                    copy.write_row([row])


@dag(schedule=None, tags=["gotchas"])
def loads_pickups():
    @task
    def append():
        load("gotchas_appended")

    @task
    def half_replace():
        load("gotchas_half_replaced", delete=True)

    @task
    def replace():
        load("gotchas_replaced", delete=True, own=True)

    append(), half_replace(), replace()


loads_pickups()
