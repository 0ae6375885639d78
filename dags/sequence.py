"""Two tasks in order: the report waits for the load."""

import time

from airflow.sdk import dag, task


@dag(schedule=None, tags=["chapter-04"])
def sequence():
    @task
    def load():
        time.sleep(2)

    @task
    def report():
        print("The load is done.")

    load() >> report()


sequence()
