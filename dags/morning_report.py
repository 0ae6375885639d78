"""The morning report: the four commands of the script, as tasks in order."""

from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

STEPS = Path(__file__).parent / "morning_steps.py"


def step(name, **settings):
    return BashOperator(task_id=name, bash_command=f"python {STEPS} {name} {{{{ ds[:7] }}}}", **settings)


@dag(schedule=None, tags=["chapter-01"])
def morning_report():
    ingest = step("ingest", retries=2, retry_delay=timedelta(seconds=1))
    ingest >> step("transform") >> step("test") >> step("notify")


morning_report()
