"""Tries: fill the disk, and the observer's memory, with what the source writes down of 3 MB of requests.

Held by: the size of what servers outside write down of a submission is watched.
Seen: the submission is ended for it.
"""

import os
import time
import urllib.request
from datetime import datetime

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def ask() -> None:
        for _ in range(60):
            request = urllib.request.Request(
                f"{os.environ['TLC_URL']}/misc/taxi_zone_lookup.csv",
                headers={"User-Agent": "x" * 50_000},
                method="HEAD",
            )
            urllib.request.urlopen(request, timeout=10).close()
        time.sleep(4)

    ask()


pipeline()
