"""A start date long past."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule="@daily", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, tags=["gotchas"])
def since_january():
    EmptyOperator(task_id="load")


since_january()
