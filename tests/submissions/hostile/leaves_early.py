"""Tries: be taken for done, by tasks that tell their supervisor of a success, years ago, and end their process.

Held by: rows are counted, and requests, whatever a task says of itself; when a run was is the scheduler's to say.
Seen: Airflow calls the run a success, and the check of it fails; the run has taken place today.
"""

import os
from datetime import UTC, datetime

from airflow.sdk import dag, task


def leave() -> None:
    """Say that all is done, and end."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import SucceedTask

    done = SucceedTask(end_date=datetime(1999, 1, 1, tzinfo=UTC), task_outlets=[], outlet_events=[])
    task_runner.SUPERVISOR_COMMS.send(done)
    os._exit(0)


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run three tasks."""
    ingest, run, test = (task(task_id=name)(leave) for name in ("ingest_taxi_month", "dbt_run", "dbt_test"))
    ingest() >> run() >> test()


pipeline()
