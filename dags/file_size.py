"""Report the size of a month's file."""

import os
from datetime import timedelta

from airflow.sdk import dag, task

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")
MONTH = "{{ ds[:7] }}"


@dag(schedule=None, default_args={"retries": 1, "retry_delay": timedelta(seconds=1)}, tags=["chapter-07"])
def file_size():
    @task
    def fetch(url):
        import httpx

        answer = httpx.get(url, timeout=60)
        if answer.status_code != 200:
            raise RuntimeError(f"The source answered {answer.status_code}.")
        return len(answer.content)

    @task
    def report(size):
        print(f"{size} bytes")

    report(fetch(f"{TLC_URL}/trip-data/green_tripdata_{MONTH}.parquet"))


file_size()
