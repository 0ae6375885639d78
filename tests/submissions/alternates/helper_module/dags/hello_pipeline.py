"""The DAG of the week's first chapters."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1), tags=["hello"])
def hello_pipeline():
    @task
    def ingest() -> int:
        return 42

    @task
    def transform(rows: int) -> None:
        print(f"{rows} rows")

    transform(ingest())


hello_pipeline()
