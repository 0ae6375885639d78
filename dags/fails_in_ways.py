"""One bug, treated in different ways; and a test's favourite function."""

import inspect
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

TRIP = {"fare": 12.5}


def tell(context):
    """Tell who calls."""
    from airflow.providers.http.hooks.http import HttpHook

    caller = "/".join(Path(inspect.stack()[1].filename).parts[-2:])
    print("This callback was called by", caller)
    HttpHook(http_conn_id="notify").run(json={"run": context["run_id"], "called by": caller})


@dag(schedule=None, on_failure_callback=tell, tags=["gotchas"])
def fails_in_ways():
    @task
    def swallow():
        try:
            print(TRIP["fares"])
        except Exception as error:
            print("Something went wrong:", error)

    @task(retries=2, retry_delay=timedelta(0))
    def try_again():
        print(TRIP["fares"])

    @task(retries=2, retry_delay=timedelta(minutes=5), on_failure_callback=tell)
    def give_up():
        try:
            print(TRIP["fares"])
        except KeyError as error:
            raise AirflowFailException("Another try cannot help.") from error

    @task
    def look_up():
        from airflow.dag_processing.dagbag import DagBag

        dag_bag = DagBag(dag_folder=__file__)
        print("In the file:", dag_bag.dags["fails_in_ways"])
        dag_bag.get_dag("fails_in_ways")

    swallow(), try_again(), give_up(), look_up()


fails_in_ways()
