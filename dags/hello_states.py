"""Four tasks that end in different ways."""

from datetime import timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException


@dag(schedule=None, tags=["chapter-02"])
def hello_states():
    @task(retries=1, retry_delay=timedelta(seconds=1))
    def busy():
        if get_current_context()["ti"].try_number == 1:
            raise RuntimeError("the server is busy")

    @task
    def broken():
        raise RuntimeError("there is a mistake in this task")

    @task
    def after_broken():
        print("All is well.")

    @task
    def nothing_to_do():
        raise AirflowSkipException("there are no new trips")

    busy()
    nothing_to_do()
    broken() >> after_broken()


hello_states()
