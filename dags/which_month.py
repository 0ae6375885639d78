"""Four ways to find the month to load."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, get_current_context, task


@dag(schedule=None, tags=["gotchas"])
def which_month():
    @task
    def from_the_clock():
        return f"{datetime.now(UTC):%Y-%m}"

    @task
    def hard_coded():
        return "2024-01"

    @task
    def from_the_run():
        dag_run = get_current_context()["dag_run"]
        return f"{dag_run.logical_date or dag_run.run_after:%Y-%m}"

    from_the_clock(), hard_coded(), from_the_run()
    BashOperator(task_id="from_ds", bash_command="echo {{ ds[:7] }}")


which_month()
