"""Three tasks that ask the warehouse at the same time, and three that take turns."""

from airflow.sdk import dag, task


@dag(schedule=None, tags=["gotchas"])
def asks_at_once():
    @task
    def ask():
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        with PostgresHook("azure_pg").get_conn() as connection:
            connection.execute("SELECT pg_sleep(2)")

    at_once = [ask.override(task_id=f"at_once_{number}")() for number in (1, 2, 3)]
    in_turn = [
        ask.override(task_id=f"in_turn_{number}", pool="warehouse", trigger_rule="all_done")() for number in (1, 2, 3)
    ]
    for one in in_turn:
        at_once >> one


asks_at_once()
