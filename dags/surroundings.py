"""A connection and an environment."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

LOOK = "echo AIRFLOW_STUDENT is ${AIRFLOW_STUDENT-not set}; command -v dbt || echo There is no dbt."


@dag(schedule=None, tags=["gotchas"])
def surroundings():
    @task
    def connect():
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        PostgresHook("azure_postgres").get_conn()

    connect()
    BashOperator(task_id="replaced", bash_command=LOOK, env={"PG_HOST": "127.0.0.1"})
    BashOperator(task_id="appended", bash_command=LOOK, env={"PG_HOST": "127.0.0.1"}, append_env=True)


surroundings()
