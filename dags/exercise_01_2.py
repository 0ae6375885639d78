from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag


@dag(schedule=None, tags=["exercise"])
def exercise_01_2():
    ingest = BashOperator(task_id="ingest", bash_command="echo ingest")
    transform = BashOperator(task_id="transform", bash_command="echo transform; false")
    test = BashOperator(task_id="test", bash_command="echo test")
    notify = BashOperator(task_id="notify", bash_command="echo notify")
    ingest >> transform >> test >> notify


exercise_01_2()
