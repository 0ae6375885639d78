"""Tries: have the supervisor write a task's log elsewhere, by a task id that climbs out of the folder of logs.

Held by: a setting of Airflow's takes the slashes out of ids where it names logs.
Seen: no file outside of them.
"""

from datetime import datetime

from airflow.sdk import dag, task


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""

    @task
    def nothing() -> None:
        print("here")

    nothing()


made = pipeline()
(one,) = made.tasks
made.task_dict.clear()
one.__dict__["task_id"] = "a/../../../../../../../../../../../../tmp/course-escaped"
made.task_dict[one.task_id] = one
made.task_group.children.clear()
made.task_group.children[one.task_id] = one
made.task_group.used_group_ids.clear()
made.task_group.used_group_ids.add(one.task_id)
