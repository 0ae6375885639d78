"""One DAG produces an asset, and that starts the other."""

from airflow.sdk import Asset, dag, get_current_context, task

TAXI_MONTH = Asset("taxi_month")


@dag(schedule=None, tags=["chapter-03"])
def load_month():
    @task(outlets=[TAXI_MONTH])
    def load():
        context = get_current_context()
        context["outlet_events"][TAXI_MONTH].extra = {"month": f"{context['dag_run'].logical_date:%Y-%m}"}

    load()


@dag(schedule=[TAXI_MONTH], tags=["chapter-03"])
def report_month():
    @task
    def report():
        context = get_current_context()
        print("My logical date is", context["dag_run"].logical_date)
        for event in context["triggering_asset_events"][TAXI_MONTH]:
            print(f"{event.source_dag_id} has loaded {event.extra['month']}.")

    report()


load_month()
report_month()
