from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule=None, tags=["exercise"])
def exercise_04_1():
    extract = EmptyOperator(task_id="extract")
    clean = EmptyOperator(task_id="clean")
    enrich = EmptyOperator(task_id="enrich")
    load = EmptyOperator(task_id="load")
    # Your line here.


exercise_04_1()
