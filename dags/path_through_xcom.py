"""A mistake to look at: one task's file is not there for the next."""

import os
import tempfile
from pathlib import Path

import httpx
from airflow.sdk import dag, task

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


@dag(schedule=None, tags=["chapter-04"])
def path_through_xcom():
    @task
    def download():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "zones.csv"
            path.write_bytes(httpx.get(f"{TLC_URL}/misc/taxi_zone_lookup.csv").content)
            return str(path)

    @task
    def load(path):
        print(len(Path(path).read_text().splitlines()), "lines")

    load(download())


path_through_xcom()
