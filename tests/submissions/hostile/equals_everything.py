"""Tries: have the settings of a DAG that are wrong be equal to any that a check expects.

Held by: a description is JSON, made into plain values by us; no object of a student's is ever compared.
Seen: Airflow itself takes the schedule for another, and the check of it fails.
"""

from datetime import datetime

from airflow.sdk import dag, task


class Yes(str):
    """A text that is equal to everything."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Agree."""
        return True

    def __ne__(self, other: object) -> bool:
        """Agree."""
        return False


@dag(dag_id="taxi_pipeline", schedule=Yes("0 3 * * 1"), start_date=datetime(2024, 1, 1), catchup=False, tags=["one"])
def pipeline() -> None:
    """Run one task."""

    @task
    def nothing() -> None:
        print("here")

    nothing()


pipeline()
