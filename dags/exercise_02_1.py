import random

from airflow.sdk import dag, task


@dag(schedule=None, tags=["exercise"])
def exercise_02_1():
    @task
    def ingest():
        return random.randint(100, 999)  # noqa: S311

    # Your tasks here.

    ingest()


exercise_02_1()
