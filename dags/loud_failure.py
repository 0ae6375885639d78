"""Two tasks that fail, and callbacks on the DAG and on its tasks."""

from datetime import timedelta

from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk import dag, task


@dag(
    schedule=None,
    on_failure_callback=HttpNotifier(
        http_conn_id="notify", json={"text": "{{ dag.dag_id }}: the run {{ run_id }} has failed."}
    ),
    default_args={
        "on_failure_callback": HttpNotifier(
            http_conn_id="notify", json={"text": "{{ dag.dag_id }}: {{ ti.task_id }} has failed."}
        )
    },
    tags=["chapter-07"],
)
def loud_failure():
    @task
    def load_trips():
        raise RuntimeError("no trips")

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def load_zones():
        raise RuntimeError("no zones")

    @task
    def report():
        print("All is loaded.")

    [load_trips(), load_zones()] >> report()


loud_failure()
