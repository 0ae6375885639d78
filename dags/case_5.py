"""Load at night, a few at a time."""

from airflow.sdk import dag, task


@dag(schedule=None, is_paused_upon_creation=False, tags=["chapter-07", "broken"])
def case_5():
    @task(pool="night_loads")
    def load():
        print("Loaded.")

    load()


case_5()
