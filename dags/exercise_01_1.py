from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule=None, tags=["exercise"])
def exercise_01_1():
    ingest = EmptyOperator(task_id="ingest")
    transform = EmptyOperator(task_id="transform")
    test = EmptyOperator(task_id="test")
    notify = EmptyOperator(task_id="notify")
    archive = EmptyOperator(task_id="archive")
    # Your lines here.


exercise_01_1()
