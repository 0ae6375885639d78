"""A run that must have ended an hour after its logical date."""

from datetime import timedelta

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback, dag, task


def tell(context):
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook(http_conn_id="notify").run(json={"late": context["dag_run"]["dag_id"]})


@dag(
    schedule=None,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=timedelta(hours=1),
        callback=SyncCallback(tell),
    ),
    tags=["gotchas"],
)
def green_and_late():
    @task
    def load():
        print("Loaded.")

    load()


green_and_late()
