from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, tags=["exercise"])
def exercise_03_1():
    EmptyOperator(task_id="report")


exercise_03_1()
