"""Tries: fill the disk by way of Airflow's own database, with 40 MB of XComs.

Held by: the size of the metadata database is watched like the warehouse's.
Seen: the submission is ended for it.
"""

import os
import time
from datetime import datetime

from airflow.sdk import dag, get_current_context, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def pass_on() -> None:
        for number in range(40):
            get_current_context()["ti"].xcom_push(key=str(number), value=os.urandom(500_000).hex())
        time.sleep(4)

    pass_on()


pipeline()
