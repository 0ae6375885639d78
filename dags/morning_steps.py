"""The four steps of the morning report. `python morning_steps.py STEP MONTH` runs one of them."""

import io
import os
import sys

import httpx
import psycopg

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"
TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


def connect():
    """Return a connection to the warehouse; a `with` block around it is one transaction."""
    return psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"], options=f"-c search_path={SCHEMA}")


def ingest(month):
    """Replace what is in morning_trips by the trips of a month."""
    import pyarrow.parquet as pq

    answer = httpx.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60)
    if answer.status_code != 200:
        sys.exit(f"ingest: the source answered {answer.status_code} for {month}")
    amounts = pq.read_table(io.BytesIO(answer.content))["total_amount"].to_pylist()
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{SCHEMA}"')
        cursor.execute("CREATE TABLE IF NOT EXISTS morning_trips (amount double precision)")
        cursor.execute("DELETE FROM morning_trips")
        with cursor.copy("COPY morning_trips FROM STDIN") as copy:
            for amount in amounts:
                copy.write_row([amount])
    print(f"ingest: {len(amounts)} trips of {month} loaded")


def transform(month):
    """Sum up what is in morning_trips."""
    with connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS morning_report (month text, trips integer)")
        connection.execute("DELETE FROM morning_report WHERE month = %s", [month])
        connection.execute("INSERT INTO morning_report SELECT %s, count(*) FROM morning_trips", [month])
    print(f"transform: the report of {month} is written")


def trips_in_report(month):
    """Return how many trips the report of a month says there were."""
    with connect() as connection:
        found = connection.execute("SELECT trips FROM morning_report WHERE month = %s", [month]).fetchone()
    return found[0] if found else 0


def test(month):
    """Check that the report is not empty."""
    if not trips_in_report(month):
        sys.exit(f"test: the report of {month} is empty")
    print(f"test: the report of {month} is fine")


def notify(month):
    """Tell everyone."""
    text = f"morning report: {month} is ready, {trips_in_report(month)} trips"
    httpx.post(os.environ["AIRFLOW_CONN_NOTIFY"], content=text)
    print("notify: sent")


if __name__ == "__main__":
    {"ingest": ingest, "transform": transform, "test": test, "notify": notify}[sys.argv[1]](sys.argv[2])
