"""Airflow's cluster policy for graded runs: short retry delays, and a sign that a DAG's callbacks have run.

Contract: with COURSE_RETRY_DELAY set, to seconds, each task's `retry_delay` becomes that; with COURSE_CALLED set, to
a file, a DAG's own callbacks are followed by one that adds the run's id to it. Without them nothing changes. A
student's DAG is never edited: this is Airflow's own way to change a DAG's settings from outside.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any


def task_policy(task: Any) -> None:  # noqa: ANN401 - an operator of any kind
    """Shorten the wait between two tries of `task`."""
    if seconds := os.environ.get("COURSE_RETRY_DELAY"):
        task.retry_delay = timedelta(seconds=float(seconds))
        task.retry_exponential_backoff = False


def dag_policy(dag: Any) -> None:  # noqa: ANN401 - Airflow's DAG
    """Let the last of the DAG's callbacks say that all have run."""
    if not os.environ.get("COURSE_CALLED"):
        return
    for name in ("on_failure_callback", "on_success_callback"):
        if callbacks := getattr(dag, name):
            before = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
            if _called not in before:  # a DAG may be bagged twice
                setattr(dag, name, [*before, _called])


def _called(context: Mapping[str, Any]) -> None:
    with Path(os.environ["COURSE_CALLED"]).open("a", encoding="utf-8") as file:
        file.write(f"{context['run_id']}\n")
