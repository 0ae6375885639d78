"""Three mistakes, and beside each of them a task that does it right."""

import io
import os
import tempfile
from pathlib import Path

from airflow.sdk import dag, task

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def get(path):
    import httpx

    return httpx.get(f"{TLC_URL}/{path}", timeout=60)


def execute(*statements):
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    with PostgresHook("azure_pg", options=f"-c search_path={SCHEMA}").get_conn() as connection:
        for statement in statements:
            connection.execute(statement)


@dag(schedule=None, tags=["gotchas"])
def files_and_tables():
    @task
    def read_anything():
        import pyarrow.parquet as pq

        return pq.read_table(io.BytesIO(get("trip-data/green_tripdata_2024-08.parquet").content)).num_rows

    @task
    def read_if_ok():
        import pyarrow.parquet as pq

        answer = get("trip-data/green_tripdata_2024-08.parquet").raise_for_status()
        return pq.read_table(io.BytesIO(answer.content)).num_rows

    @task
    def download():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "zones.csv"
            path.write_bytes(get("misc/taxi_zone_lookup.csv").content)
            return str(path)

    @task
    def count_lines(path):
        return len(Path(path).read_text().splitlines())

    @task
    def download_and_count():
        return len(get("misc/taxi_zone_lookup.csv").text.splitlines())

    @task
    def delete_first():
        execute("DELETE FROM gotchas_absent", "CREATE TABLE IF NOT EXISTS gotchas_absent (n integer)")

    @task
    def create_first():
        execute("CREATE TABLE IF NOT EXISTS gotchas_new (n integer)", "DELETE FROM gotchas_new")

    read_anything(), read_if_ok(), download_and_count(), delete_first(), create_first()
    count_lines(download())


files_and_tables()
