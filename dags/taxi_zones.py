"""Count a month's trips by zone.

Trips and zones are loaded side by side. A gate checks that they fit together. A branch leaves the counting out when
there were no new trips.
"""

import io
import os

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def month_of_run():
    """Return the month of the current run, such as 2024-01."""
    dag_run = get_current_context()["dag_run"]
    return f"{dag_run.logical_date or dag_run.run_after:%Y-%m}"


def fetch(path):
    """Return a file of the TLC."""
    import httpx

    return httpx.get(f"{TLC_URL}/{path}", timeout=60).raise_for_status().content


def connect():
    """Return a connection to the warehouse; a `with` block around it is one transaction."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return PostgresHook("azure_pg", options=f"-c search_path={SCHEMA}").get_conn()


@dag(schedule=None, tags=["chapter-04"])
def taxi_zones():
    """Load trips and zones, check them, count them."""

    @task
    def prepare():
        with connect() as connection:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{SCHEMA}"')
            connection.execute("CREATE TABLE IF NOT EXISTS zone_trips (month text, zone_id integer)")
            connection.execute("CREATE TABLE IF NOT EXISTS zones (zone_id integer, name text)")
            connection.execute("CREATE TABLE IF NOT EXISTS zone_counts (month text, name text, trips integer)")

    @task
    def ingest_trips():
        import pyarrow.parquet as pq

        month = month_of_run()
        with connect() as connection, connection.cursor() as cursor:
            if cursor.execute("SELECT 1 FROM zone_trips WHERE month = %s", [month]).fetchone():
                return 0
            file = pq.read_table(io.BytesIO(fetch(f"trip-data/green_tripdata_{month}.parquet")))
            zone_ids = file["PULocationID"].to_pylist()
            cursor.executemany("INSERT INTO zone_trips VALUES (%s, %s)", [(month, one) for one in zone_ids])
        return len(zone_ids)

    @task
    def ingest_zones():
        import csv

        zones = csv.DictReader(io.StringIO(fetch("misc/taxi_zone_lookup.csv").decode()))
        rows = [(int(zone["LocationID"]), zone["Zone"]) for zone in zones if zone["Zone"]]
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM zones")
            cursor.executemany("INSERT INTO zones VALUES (%s, %s)", rows)
        return len(rows)

    @task
    def check_zones():
        with connect() as connection:
            unknown = connection.execute(
                "SELECT count(*) FROM zone_trips WHERE zone_id NOT IN (SELECT zone_id FROM zones)"
            ).fetchone()[0]
        if unknown:
            raise AirflowFailException(f"{unknown} trips began in a zone that is not among the zones.")

    @task.branch
    def choose(new_rows):
        return "build_counts" if new_rows else "report"

    @task
    def build_counts():
        month = month_of_run()
        with connect() as connection:
            connection.execute("DELETE FROM zone_counts WHERE month = %s", [month])
            connection.execute(
                "INSERT INTO zone_counts SELECT month, name, count(*) FROM zone_trips JOIN zones USING (zone_id)"
                " WHERE month = %s GROUP BY month, name",
                [month],
            )

    @task
    def check_counts():
        month = month_of_run()
        with connect() as connection:
            counted, there = connection.execute(
                "SELECT (SELECT sum(trips) FROM zone_counts WHERE month = %(month)s),"
                " (SELECT count(*) FROM zone_trips WHERE month = %(month)s)",
                {"month": month},
            ).fetchone()
        if counted != there:
            raise AirflowFailException(f"{counted} trips were counted, but there are {there}.")

    @task(trigger_rule="none_failed_min_one_success")
    def report():
        with connect() as connection:
            query = "SELECT name, trips FROM zone_counts WHERE month = %s ORDER BY trips DESC LIMIT 3"
            for name, trips in connection.execute(query, [month_of_run()]):
                print(f"{trips} trips began in {name}.")

    trips, choice, counts_checked, told = ingest_trips(), check_zones(), check_counts(), report()
    chosen = choose(trips)
    prepare() >> [trips, ingest_zones()] >> choice >> chosen >> build_counts() >> counts_checked >> told
    chosen >> told


taxi_zones()
