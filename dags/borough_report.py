"""Report how many taxi zones each borough has."""

import csv
import io
import os
from collections import Counter
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")
NO_BOROUGH = ("", "N/A", "Unknown")


def count_zones(text):
    """Return the number of zones of each borough, from the text of a zone list."""
    boroughs = [zone["Borough"] for zone in csv.DictReader(io.StringIO(text))]
    return dict(Counter(borough for borough in boroughs if borough not in NO_BOROUGH))


@dag(
    schedule="@monthly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["chapter-06"],
)
def borough_report():
    @task
    def ingest_zones():
        import httpx

        answer = httpx.get(f"{TLC_URL}/misc/taxi_zone_lookup.csv", timeout=60)
        return count_zones(answer.raise_for_status().text)

    @task
    def check_counts(counts):
        if not counts:
            raise AirflowFailException("The list has no zone.")

    @task
    def report(counts):
        for borough, zones in sorted(counts.items()):
            print(f"{borough}: {zones} zones")

    counts = ingest_zones()
    check_counts(counts) >> report(counts)


borough_report()
