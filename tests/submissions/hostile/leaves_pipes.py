"""Tries: have the observer wait for ever, by a pipe in place of each file that it reads of a run.

Held by: nothing is read but plain files, without waiting and without following links.
Seen: the observation ends; the run, which did what it should, is green.
"""

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task


def leave_pipes() -> None:
    """Put a pipe where look-ups and callbacks are written down."""
    for name in ("COURSE_LOOKUPS", "COURSE_CALLED"):
        if path := os.environ.get(name):
            with contextlib.suppress(OSError):
                Path(path).unlink()
            with contextlib.suppress(OSError):
                os.mkfifo(path)


leave_pipes()


def succeeded(_: Any) -> None:
    """Be a callback."""
    leave_pipes()


@dag(dag_id="taxi_pipeline", schedule="@monthly", start_date=datetime(2024, 1, 1), catchup=False)
def pipeline() -> None:
    """Run one task."""
    task(leave_pipes)()


pipeline()
