"""A report that has to be ready one hour after its time on the schedule."""

from datetime import timedelta

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback, dag, task


def tell(context):
    """Say which run is late; Airflow calls this once the deadline of a run has passed."""
    from airflow.providers.http.hooks.http import HttpHook

    run = context["dag_run"]
    HttpHook(http_conn_id="notify").run(json={"late": run["dag_id"], "due": run["logical_date"]})


BY_SEVEN = DeadlineAlert(
    reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
    interval=timedelta(hours=1),
    callback=SyncCallback(tell),
)


@dag(schedule=None, deadline=BY_SEVEN, tags=["chapter-01"])
def report_by_seven():
    @task
    def write_report():
        print("The report is written.")

    write_report()


report_by_seven()
