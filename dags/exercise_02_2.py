import random

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task


@dag(schedule=None, tags=["exercise"])
def exercise_02_2():
    @task
    def ingest():
        return random.randint(100, 999)  # noqa: S311

    say = BashOperator(task_id="say", bash_command="echo There are many trips")

    ingest()


exercise_02_2()
