"""Fetch the zones, and count them."""

import os

from airflow.sdk import dag, task

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


@dag(schedule=None, tags=["chapter-07", "broken"])
def case_4():
    @task
    def count_zones():
        import httpx

        lines = []
        try:
            lines = httpx.get(f"{TLC_URL}/misc/taxi_zones.csv", timeout=60).raise_for_status().text.splitlines()
        except httpx.HTTPError as error:
            print(f"Something went wrong: {error}")
        print(f"{len(lines)} zones")

    count_zones()


case_4()
