"""Say which month is loaded."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag


@dag(schedule=None, tags=["chapter-07", "broken"])
def case_2():
    BashOperator(task_id="announce", bash_command="echo Loading {{ ds[:7] }}")


case_2()
