"""Fetch a month's file, and try once more when that fails."""

import os
from datetime import timedelta

from airflow.sdk import dag, get_current_context, task

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


@dag(schedule=None, default_args={"retries": 1, "retry_delay": timedelta(seconds=1)}, tags=["chapter-07"])
def busy_source():
    @task
    def fetch():
        import httpx

        month = get_current_context()["ds"][:7]
        answer = httpx.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60)
        return len(answer.raise_for_status().content)

    fetch()


busy_source()
