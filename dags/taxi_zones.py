"""Count a month's trips by zone.

Trips and zones are loaded side by side. A gate checks that they fit together. A branch leaves the counting out when
there were no new trips.
"""

import zone_steps
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException


def month_of_run():
    """Return the month of the current run, such as 2024-01."""
    dag_run = get_current_context()["dag_run"]
    return f"{dag_run.logical_date or dag_run.run_after:%Y-%m}"


@dag(schedule=None, tags=["chapter-04"])
def taxi_zones():
    """Load trips and zones, check them, count them."""

    @task
    def prepare():
        zone_steps.create_tables()

    @task
    def ingest_trips():
        return zone_steps.load_trips(month_of_run())

    @task
    def ingest_zones():
        return zone_steps.load_zones()

    @task
    def check_zones():
        if unknown := zone_steps.unknown_zones():
            raise AirflowFailException(f"{unknown} trips began in a zone that is not among the zones.")

    @task.branch
    def choose(new_rows):
        return "build_counts" if new_rows else "report"

    @task
    def build_counts():
        zone_steps.count_trips(month_of_run())

    @task
    def check_counts():
        counted, loaded = zone_steps.counted_and_loaded(month_of_run())
        if counted != loaded:
            raise AirflowFailException(f"{counted} trips were counted, but there are {loaded}.")

    @task(trigger_rule="none_failed_min_one_success")
    def report():
        for name, trips in zone_steps.largest(month_of_run()):
            print(f"{trips} trips began in {name}.")

    trips, choice, counts_checked, told = ingest_trips(), check_zones(), check_counts(), report()
    chosen = choose(trips)
    prepare() >> [trips, ingest_zones()] >> choice >> chosen >> build_counts() >> counts_checked >> told
    chosen >> told


taxi_zones()
