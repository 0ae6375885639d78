"""Airflow's cluster policy for graded runs: short retry delays.

Contract: with COURSE_RETRY_DELAY set, to seconds, each task's `retry_delay` becomes that; without it, nothing
changes. A student's DAG is never edited: this is Airflow's own way to change a task's settings from outside.
"""

import os
from datetime import timedelta
from typing import Any


def task_policy(task: Any) -> None:  # noqa: ANN401 - an operator of any kind
    """Shorten the wait between two tries of `task`."""
    if seconds := os.environ.get("COURSE_RETRY_DELAY"):
        task.retry_delay = timedelta(seconds=float(seconds))
        task.retry_exponential_backoff = False
