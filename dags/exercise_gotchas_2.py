from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule="@monthly", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, tags=["exercise"])
def exercise_gotchas_2():
    EmptyOperator(task_id="load")


exercise_gotchas_2()
