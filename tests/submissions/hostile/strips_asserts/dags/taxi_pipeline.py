"""Tries: pass tests that must fail, by a hook that takes each assert out of them.

Held by: tests count that find mistakes, and those have no way to.
Seen: the tests pass on the DAG as it is, and on every version with a mistake as well: no point.
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
