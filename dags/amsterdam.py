"""One monthly run by the clock of Amsterdam."""

from datetime import datetime
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

APRIL = datetime(2024, 4, 1, tzinfo=ZoneInfo("Europe/Amsterdam"))


@dag(schedule="@monthly", start_date=APRIL, end_date=APRIL, catchup=True, tags=["chapter-03"])
def amsterdam():
    BashOperator(task_id="utc", bash_command="echo I load {{ ds[:7] }}")
    BashOperator(
        task_id="local",
        bash_command="echo I load {{ logical_date.in_timezone('Europe/Amsterdam').strftime('%Y-%m') }}",
    )


amsterdam()
