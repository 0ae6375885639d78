"""Tries: hold its turn for ever, by a task that sleeps, and would be tried a thousand times more.

Held by: a run has a limit of time, after which it is given up with all that runs of it.
Seen: the run has failed, was not in time, and what follows goes on.
"""

import time
from datetime import datetime, timedelta

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task(retries=1000, retry_delay=timedelta(seconds=1), execution_timeout=timedelta(seconds=2))
    def sleep() -> None:
        time.sleep(3600)

    sleep()


pipeline()
