"""A running Airflow with one DAG that is judged, and what is written down of a scenario on it.

Contract: `Stage.play` begins something, waits for the runs that it made, and returns a part of the evidence: what all
witnesses saw meanwhile. What a student's DAG does, its failing and its hanging included, is evidence and no error.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.airflow_api import ENDED, AirflowApi
from autograder.airflow_local.airflow import Airflow
from autograder.airflow_local.local import World
from autograder.errors import CourseError
from autograder.observe import history, warehouse

RUN_LIMIT = 45.0
"""Seconds that a run of a scenario may take: 2 to 3 with the warm commands, ten times as many without."""

CALLBACK_WITHIN = 90.0
"""Seconds in which the DAG processor runs the callbacks of a run that has ended: 1 or 2, on a busy machine more."""

STORED_WITHIN = 60.0
"""Seconds in which the DAG processor reads the DAG file."""

CALLED = "COURSE_CALLED"
"""Environment variable: the file in which the cluster policy writes the ids of runs whose callbacks have run."""

Told = Callable[[str], None]
"""Takes a line of progress."""

Part = dict[str, Any]
"""A part of the evidence."""


@dataclass(frozen=True)
class Stage:
    """Where scenarios are played.

    Parameters
    ----------
    world, airflow
        Where the DAG runs.
    dag_id
        The DAG that is judged.
    callbacks
        The states in which a run has callbacks when it ends: "success", "failed". The DAG processor runs them.
    schema
        Where its tables are.
    """

    world: World
    airflow: Airflow
    dag_id: str
    callbacks: tuple[str, ...]
    schema: str

    @property
    def api(self) -> AirflowApi:
        """Its Airflow's records."""
        return AirflowApi(self.airflow.url)

    def start(self) -> None:
        """Start the Airflow, and wait until it has stored the DAG.

        A DAG that it does not store, though it could be read before, is left to the scenarios: they will be refused.
        """
        self.airflow.start()
        deadline = time.monotonic() + STORED_WITHIN
        while self.api.dag(self.dag_id) is None and time.monotonic() < deadline:
            time.sleep(history.POLL / 4)

    def play(
        self,
        begin: Callable[[AirflowApi], history.Wanted],
        *,
        limit: float = RUN_LIMIT,
        told: Callable[[int, int], None] = lambda *_: None,
    ) -> Part:
        """Begin runs, and write down what happened until they ended.

        Parameters
        ----------
        begin
            Has Airflow make the runs, and returns which they are.
        limit
            Seconds that they may take. What has not ended then is given up.
        told
            Called with how many runs have ended, of how many.

        Returns
        -------
        dict
            `runs`; `tables` of the warehouse after them; `requests` and `notifications` that came meanwhile; `dbt`,
            who defined tables and views; `in_time`, whether all ended; `refused`, what Airflow said if it made none.
        """
        api, source = self.api, self.world.source
        asked, notified = len(source.requests()), len(self.world.notifications())
        tries = history.tries(api, self.dag_id)
        with self.world.connect() as connection:
            defined = max((one["place"] for one in warehouse.definitions(connection, self.schema)), default=0)
        refused, in_time, runs = None, False, []
        try:
            wanted = begin(api)
        except CourseError as error:
            refused = error.what
        else:
            in_time = history.wait(api, self.dag_id, wanted, limit=limit, told=told)
            if not in_time:
                self.give_up()
            runs = history.runs(api, self.dag_id, wanted, tries)
            self._wait_for_callbacks(runs)
        with self.world.look() as looking:
            tables = warehouse.snapshot(looking, self.schema)
        with self.world.connect() as connection:
            seen = warehouse.definitions(connection, self.schema, defined)
        return {
            "runs": runs,
            "tables": tables,
            "requests": source.requests()[asked:],
            "notifications": self.world.notifications()[notified:],
            "dbt": [{key: one[key] for key in ("relation", "command", "application_name")} for one in seen],
            "in_time": in_time,
            "refused": refused,
        }

    def give_up(self) -> None:
        """End what still runs, so that it is not in the way of what comes next."""
        self.close_backfill()
        for run in self.api.runs(self.dag_id):
            if run["state"] not in ENDED:
                self.api.fail_run(self.dag_id, run["dag_run_id"])

    def close_backfill(self) -> None:
        """End the newest backfill, if it has not ended, so that another may follow."""
        backfill = self.api.latest_backfill(self.dag_id)
        if backfill and backfill["completed_at"] is None:
            self.api.close_backfill(backfill["id"])

    def clear(self) -> None:
        """Return to a clean state: no runs, no tables."""
        self.close_backfill()
        for run in self.api.runs(self.dag_id):
            self.api.delete_run(self.dag_id, run["dag_run_id"])
        with self.world.connect() as connection:
            warehouse.drop_schemas(connection, self.schema)

    def _wait_for_callbacks(self, runs: list[Part]) -> None:
        """Wait until the DAG processor has run the callbacks of runs that have ended; the cluster policy tells."""
        expected = {run["run_id"] for run in runs if run["state"] in self.callbacks}
        deadline = time.monotonic() + CALLBACK_WITHIN
        while expected - set(self._called()) and time.monotonic() < deadline:
            time.sleep(history.POLL / 4)

    def _called(self) -> list[str]:
        return self.airflow.written(Path(self.airflow.extra[CALLED])).splitlines()
