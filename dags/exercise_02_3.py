import secrets

from airflow.sdk import dag, task


@dag(schedule=None, tags=["exercise"])
def exercise_02_3():
    @task
    def whisper():
        print(f"The word is {secrets.token_hex(3)}.")

    @task
    def stumble():
        raise RuntimeError("the word is not here")

    whisper() >> stumble()


exercise_02_3()
