"""The same schedule under Airflow's two cron timetables."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import CronDataIntervalTimetable, dag

settings = {
    "start_date": datetime(2024, 1, 1, tzinfo=UTC),
    "end_date": datetime(2024, 2, 1, tzinfo=UTC),
    "catchup": True,
    "tags": ["chapter-03"],
}


def load():
    BashOperator(task_id="load", bash_command="echo I load {{ ds[:7] }}. The clock says $(date -u +%Y-%m).")


@dag(schedule="@monthly", **settings)
def by_trigger():
    load()


@dag(schedule=CronDataIntervalTimetable("@monthly", timezone="UTC"), **settings)
def by_interval():
    load()


by_trigger()
by_interval()
