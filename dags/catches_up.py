"""A start date long past, and catchup."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    end_date=datetime(2024, 1, 4, tzinfo=UTC),
    catchup=True,
    is_paused_upon_creation=False,
    tags=["gotchas"],
)
def catches_up():
    EmptyOperator(task_id="load")


catches_up()
