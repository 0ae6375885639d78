"""Tries: run in processes that are trusted, by modules that Python or Airflow imports by name where it finds them.

Held by: trusted processes search for modules in no folder of a submission's.
Seen: none of the modules ran outside, where each would have left a file in /tmp; the run is green.
"""

from datetime import datetime

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def nothing() -> None:
        print("here")

    nothing()


pipeline()
