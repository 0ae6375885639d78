"""Clean up, whatever happens, and fail if the load failed."""

from airflow.sdk import dag, task, teardown


@dag(schedule=None, tags=["gotchas"])
def cleans_up():
    @task
    def load():
        raise RuntimeError("no trips")

    @teardown
    def clean_up():
        print("Temporary files removed.")

    load() >> clean_up()


cleans_up()
