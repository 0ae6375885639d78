"""Say how many months are kept."""

from airflow.sdk import Variable, dag, task


@dag(schedule=None, tags=["gotchas"])
def keeps_months():
    @task
    def say():
        print(Variable.get("months_to_keep", default="12"))

    say()


keeps_months()
