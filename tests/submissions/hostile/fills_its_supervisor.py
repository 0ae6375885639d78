"""Tries: have the supervisor of a task take in a message of 4 GB.

Held by: what one of our processes may address is limited.
Seen: the run has failed, and the next one, which behaves, is green: the scheduler and its workers go on.
"""

import os
from datetime import datetime

from airflow.sdk import dag, get_current_context, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def fill() -> None:
        if get_current_context()["dag_run"].logical_date.month == 1:
            os.write(0, b"\xff\xff\xff\xf0")
            while True:
                os.write(0, b"x" * 2**20)

    fill()


pipeline()
