"""Count a month's dear trips. What is dear, a person may choose."""

import io
import os

from airflow.sdk import Param, dag, get_current_context, task

TLC_URL = os.environ.get("TLC_URL", "https://d37ci6vzurychx.cloudfront.net")


@dag(schedule=None, params={"dollars": Param(50, type="integer", minimum=1)}, tags=["chapter-05"])
def dear_trips():
    @task
    def count():
        import httpx
        import pyarrow.parquet as pq

        context = get_current_context()
        month, dollars = context["ds"][:7], context["params"]["dollars"]
        answer = httpx.get(f"{TLC_URL}/trip-data/green_tripdata_{month}.parquet", timeout=60).raise_for_status()
        amounts = pq.read_table(io.BytesIO(answer.content))["total_amount"].to_pylist()
        print(f"{month}: {sum(amount >= dollars for amount in amounts)} trips of {dollars} dollars or more")

    count()


dear_trips()
