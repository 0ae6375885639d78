"""Two sensors wait for the same file, each in its own mode."""

from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import dag

LANDING = Path(__file__).resolve().parent.parent / "landing"


def wait(task_id, mode):
    return FileSensor(
        task_id=task_id,
        mode=mode,
        fs_conn_id="landing",
        filepath=str(LANDING / "zones.csv"),
        poke_interval=4,  # Seconds between two looks.
        timeout=600,  # Give up and fail after these; the default is a week.
    )


@dag(schedule=None, tags=["chapter-03"])
def waits_for_file():
    [wait("stay", "poke"), wait("come_back", "reschedule")] >> EmptyOperator(task_id="load")


waits_for_file()
