"""A TaskFlow function and an operator in one DAG."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task


@dag(schedule=None, tags=["chapter-02"])
def hello_operators():
    @task
    def ingest():
        return 42

    say = BashOperator(task_id="say", bash_command="echo The answer is {{ ti.xcom_pull(task_ids='ingest') }}")

    ingest() >> say


hello_operators()
