"""Tries: use up the machine's memory, from a task, in many processes.

Held by: the memory of all processes is watched.
Seen: the submission is ended for its memory.
"""

import os
import time
from datetime import datetime

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def take() -> None:
        for _ in range(4):
            os.fork()
        held = [b"x" * 2**20 for _ in range(200)]
        time.sleep(6)
        print(len(held))

    take()


pipeline()
