"""Two tasks: one returns a number, the other gets it."""

import os

from airflow.sdk import dag, task


@dag(schedule=None, tags=["chapter-02"])
def hello_pipeline():
    @task
    def ingest():
        print(f"ingest runs in process {os.getpid()}")
        return 42

    @task
    def transform(number):
        print(f"transform runs in process {os.getpid()}, and got {number}")

    transform(ingest())


hello_pipeline()
