"""Tries: fill the disk with a task's output, which its supervisor writes down.

Held by: the size of all logs is watched.
Seen: the submission is ended for its logs.
"""

from datetime import datetime

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def flood() -> None:
        while True:
            print("x" * 3000)

    flood()


pipeline()
