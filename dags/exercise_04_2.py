from airflow.sdk import dag, task


@dag(schedule=None, tags=["exercise"])
def exercise_04_2():
    @task
    def load():
        raise RuntimeError("the disk is full")

    @task
    def clean_up():
        print("Temporary files removed.")

    load() >> clean_up()


exercise_04_2()
