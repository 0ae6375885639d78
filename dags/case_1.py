"""Which dbt is installed here?"""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag


@dag(schedule=None, tags=["chapter-07", "broken"])
def case_1():
    BashOperator(task_id="dbt_version", bash_command="dbt --version", env={"PG_SCHEMA": "airflow_case"})


case_1()
