"""Count the zones."""

import os

from airflow.sdk import dag, task

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


@dag(schedule=None, tags=["gotchas"])
def counts_zones():
    @task
    def count():
        import httpx

        print(len(httpx.get(f"{TLC_URL}/misc/taxi_zone_lookup.csv").raise_for_status().text.splitlines()))

    count()


counts_zones()
