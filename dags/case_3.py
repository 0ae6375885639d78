"""Replace last night's trips, and report."""

import os

from airflow.sdk import dag, task

SCHEMA = f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"


@dag(schedule=None, tags=["chapter-07", "broken"])
def case_3():
    @task
    def replace_trips():
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        with PostgresHook("azure_pg", options=f"-c search_path={SCHEMA}").get_conn() as connection:
            connection.execute("DELETE FROM night_trips")
            connection.execute("CREATE TABLE IF NOT EXISTS night_trips (pickup timestamp)")

    @task
    def report():
        print("All trips are replaced.")

    replace_trips() >> report()


case_3()
