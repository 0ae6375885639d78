"""What the tasks of taxi_zones do, each in the student's schema of the warehouse."""

import csv
import io
import os

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def fetch(path):
    """Return a file of the TLC."""
    import httpx

    return httpx.get(f"{TLC_URL}/{path}", timeout=60).raise_for_status().content


def connect():
    """Return a connection to the warehouse; a `with` block around it is one transaction."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return PostgresHook("azure_pg", options=f"-c search_path={SCHEMA}").get_conn()


def create_tables():
    """Make the schema and its tables, where they are not there yet."""
    with connect() as connection:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{SCHEMA}"')
        connection.execute("CREATE TABLE IF NOT EXISTS zone_trips (month text, zone_id integer)")
        connection.execute("CREATE TABLE IF NOT EXISTS zones (zone_id integer, name text)")
        connection.execute("CREATE TABLE IF NOT EXISTS zone_counts (month text, name text, trips integer)")


def load_trips(month):
    """Load where a month's trips began, unless that is there already, and return how many rows are new."""
    import pyarrow.parquet as pq

    with connect() as connection, connection.cursor() as cursor:
        if cursor.execute("SELECT 1 FROM zone_trips WHERE month = %s", [month]).fetchone():
            return 0
        file = pq.read_table(io.BytesIO(fetch(f"trip-data/green_tripdata_{month}.parquet")))
        zone_ids = file["PULocationID"].to_pylist()
        cursor.executemany("INSERT INTO zone_trips VALUES (%s, %s)", [(month, one) for one in zone_ids])
    return len(zone_ids)


def load_zones():
    """Replace the zones by those of the TLC's list."""
    zones = csv.DictReader(io.StringIO(fetch("misc/taxi_zone_lookup.csv").decode()))
    rows = [(int(zone["LocationID"]), zone["Zone"]) for zone in zones if zone["Zone"]]
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM zones")
        cursor.executemany("INSERT INTO zones VALUES (%s, %s)", rows)
    return len(rows)


def unknown_zones():
    """Return how many trips began in a zone that is not among the zones."""
    query = "SELECT count(*) FROM zone_trips WHERE zone_id NOT IN (SELECT zone_id FROM zones)"
    with connect() as connection:
        return connection.execute(query).fetchone()[0]


def count_trips(month):
    """Count a month's trips by zone."""
    with connect() as connection:
        connection.execute("DELETE FROM zone_counts WHERE month = %s", [month])
        connection.execute(
            "INSERT INTO zone_counts SELECT month, name, count(*) FROM zone_trips JOIN zones USING (zone_id)"
            " WHERE month = %s GROUP BY month, name",
            [month],
        )


def counted_and_loaded(month):
    """Return how many trips of a month were counted, and how many are there."""
    with connect() as connection:
        return connection.execute(
            "SELECT (SELECT sum(trips) FROM zone_counts WHERE month = %(month)s),"
            " (SELECT count(*) FROM zone_trips WHERE month = %(month)s)",
            {"month": month},
        ).fetchone()


def largest(month):
    """Return the three zones in which most trips of a month began, and how many."""
    query = "SELECT name, trips FROM zone_counts WHERE month = %s ORDER BY trips DESC LIMIT 3"
    with connect() as connection:
        return connection.execute(query, [month]).fetchall()
