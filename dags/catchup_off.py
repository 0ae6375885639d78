"""A start date long past, and no catchup."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule="@daily", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, tags=["chapter-03"])
def catchup_off():
    EmptyOperator(task_id="load")


catchup_off()
