"""Five days in the past, and catchup."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    end_date=datetime(2024, 1, 5, tzinfo=UTC),
    catchup=True,
    tags=["chapter-03"],
)
def catchup_on():
    EmptyOperator(task_id="load")


catchup_on()
