from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(
    schedule="@weekly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    end_date=datetime(2024, 2, 6, tzinfo=UTC),
    catchup=True,
    tags=["exercise"],
)
def exercise_03_2():
    EmptyOperator(task_id="load")


exercise_03_2()
