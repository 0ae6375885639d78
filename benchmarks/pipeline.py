"""The course's pipeline from nothing to seven green runs, on one side: what it took, and where the time went.

Contract: `measure` starts a side, waits until its Airflow is healthy and has the DAG, backfills the course's seven
months by the commands that the course teaches, and returns a `Sample`. Times inside the backfill are Airflow's own
records of runs and task instances.
"""

import time
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

import psycopg

from autograder.airflow_local.local import MONTHS
from autograder.errors import CourseError
from autograder.observe import warehouse
from benchmarks.figures import Sample
from benchmarks.sides import DAG_ID, Ground, Ours, Side, Stock, call

NAMES = ("backfill", "backfill-cold", "backfill-up", "boot")
"""What one measurement yields; `boot` alone is measured without the backfill."""

GREEN_WITHIN = 1200.0
"""Seconds that a backfill may take, on either side."""

LOOK = 0.05
"""Seconds between two looks: less than anything that is measured here, and cheap."""


def stock(wanted: Collection[str]) -> Sample:
    """Measure `airflow standalone`."""
    with Ground.open() as ground:
        return measure(Stock(ground), wanted, warmed=0.0)


def ours(wanted: Collection[str]) -> Sample:
    """Measure the course's Airflow, once its warm parents are ready."""
    with Ground.open() as ground:
        began = time.monotonic()
        side = Ours.warm_up(ground)
        return measure(side, wanted, warmed=time.monotonic() - began)


def measure(side: Side, wanted: Collection[str], *, warmed: float) -> Sample:
    """Start a side, and backfill unless only `boot` is wanted.

    Parameters
    ----------
    side
        Not started yet; its source, which both sides need, is started before the clock.
    wanted
        Of `NAMES`.
    warmed
        Seconds that its warm parents took.
    """
    _ = side.local, side.environment
    began = time.monotonic()
    side.start()
    healthy = time.monotonic()
    wait_for_dag(side)
    up = time.monotonic()
    seconds = {"boot": up - began}
    stages = {"warm parents": warmed} if warmed else {}
    stages |= {"start, to healthy": healthy - began, "DAG parsed": up - healthy}
    if set(wanted) <= {"boot"}:
        return Sample(seconds, stages)
    call(side, "airflow", "dags", "unpause", DAG_ID)
    unpaused = time.monotonic()
    create_backfill(side)
    created = time.time()
    stages |= {"airflow dags unpause": unpaused - up, "airflow backfill create": time.monotonic() - unpaused}
    stages |= wait_for_backfill(side, created)
    green = time.monotonic()
    seconds |= {
        "backfill": green - began,
        "backfill-cold": green - began + warmed,
        "backfill-up": green - unpaused,
    }
    return Sample(seconds, stages, content(side))


def wait_for_dag(side: Side) -> None:
    """Wait until the DAG is stored.

    Raises
    ------
    CourseError
        When it is not within a minute.
    """
    deadline, api = time.monotonic() + 60, side.api
    while api.dag(DAG_ID) is None:
        if time.monotonic() > deadline:
            raise CourseError(f"Airflow has not stored {DAG_ID}.", where=str(side.ground.session.logs))
        time.sleep(LOOK)


def create_backfill(side: Side, *more: str) -> None:
    """Call `airflow backfill create` as chapter 5 does."""
    dates = ["--from-date", f"{MONTHS[0]}-01", "--to-date", f"{MONTHS[-1]}-01"]
    call(side, "airflow", "backfill", "create", "--dag-id", DAG_ID, *dates, "--max-active-runs", "1", *more)


def wait_for_backfill(side: Side, created: float) -> dict[str, float]:
    """Wait until all of its runs are green, and return the stages that they went through.

    Parameters
    ----------
    side
        Whose backfill.
    created
        When `airflow backfill create` ended, in seconds since the epoch.

    Raises
    ------
    CourseError
        When a run fails, or they are not green in time.
    """
    deadline = time.monotonic() + GREEN_WITHIN
    with side.ground.database.connect("airflow") as connection:
        while True:
            query = "SELECT state, count(*) FROM dag_run WHERE run_type = 'backfill' GROUP BY 1"
            states: Mapping[str, int] = dict(connection.execute(query).fetchall())
            if states == {"success": len(MONTHS)}:
                return _stages(connection, created)
            if "failed" in states or time.monotonic() > deadline:
                raise CourseError(f"The backfill's runs are {states}.", where=str(side.ground.session.logs))
            time.sleep(LOOK)


def _stages(connection: psycopg.Connection, created: float) -> dict[str, float]:
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT r.run_id, t.task_id, extract(epoch FROM t.start_date)::float, extract(epoch FROM t.end_date)::float,"
        " extract(epoch FROM r.end_date)::float FROM dag_run r JOIN task_instance t USING (dag_id, run_id)"
        " WHERE r.run_type = 'backfill' ORDER BY t.start_date"
    ).fetchall()
    stages = {"until the first task starts": rows[0][2] - created}
    for _, task, start, end, _ in rows:
        stages[f"{task}, all runs"] = stages.get(f"{task}, all runs", 0.0) + end - start
    within = between = 0.0
    for (run, _, _, end, _), (next_run, _, start, _, _) in pairwise(rows):
        if run == next_run:
            within += start - end
        else:
            between += start - end
    return {
        **stages,
        "between tasks of a run": within,
        "between runs": between,
        "last task to run green": rows[-1][4] - rows[-1][3],
    }


def content(side: Side) -> warehouse.Snapshot:
    """Return what stands in the warehouse."""
    with side.local.connect() as connection:
        return warehouse.snapshot(connection, side.local.schema)
