"""A connection and an environment."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

LOOK = "command -v dbt || echo There is no dbt."
SCHEMA = "echo I write into airflow_${AIRFLOW_STUDENT-default}."


@dag(schedule=None, tags=["gotchas"])
def surroundings():
    @task
    def connect():
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        PostgresHook("azure_postgres").get_conn()

    connect()
    BashOperator(task_id="replaced", bash_command=LOOK, env={"PG_HOST": "127.0.0.1"})
    BashOperator(task_id="appended", bash_command=LOOK, env={"PG_HOST": "127.0.0.1"}, append_env=True)
    BashOperator(task_id="on_a_laptop", bash_command=SCHEMA, env={"AIRFLOW_STUDENT": "ada"})
    BashOperator(task_id="on_a_server", bash_command=SCHEMA, env={"PG_HOST": "127.0.0.1"})


surroundings()
