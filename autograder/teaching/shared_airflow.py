"""The shared Airflow of a class, from a notebook.

Contract: `start_shared_airflow` starts it as a program of its own (`autograder.airflow_local.class_airflow`), which
ends with the notebook's kernel; a second call ends the first one and starts afresh. Inside `with shared.user("ada"):`
the other functions of `autograder.notebook` mean the shared Airflow, seen by that user, and the schema of that name in
its warehouse; outside they mean the notebook's own.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError
from autograder.paths import ROOT
from autograder.teaching.class_repository import ORIGIN, classmates, main_commit
from autograder.teaching.shown import Shown, table
from autograder.waiting import files_in_turn, until

BY_PEOPLE = {
    "patch_dag": "paused or unpaused",
    "trigger_dag_run": "triggered a run",
    "clear_dag_run": "cleared a run",
    "delete_dag": "deleted",
}
"""What Airflow calls the events that a person causes, in its audit log."""

CHECKSUM = sql.SQL("SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '-') FROM {} t")

_running: list[subprocess.Popen[str]] = []


@dataclass(frozen=True)
class SharedAirflow:
    """A running shared Airflow: its address, its warehouse, its users' tokens. Use `start_shared_airflow`."""

    url: str
    warehouse: str
    tokens: dict[str, str]

    @contextlib.contextmanager
    def user(self, name: str) -> Iterator[AirflowApi]:
        """Be a user of the shared Airflow until the block ends.

        Raises
        ------
        CourseError
            When nobody of that name is in the class.
        """
        own = {
            "COURSE_AIRFLOW_URL": self.url,
            "COURSE_AIRFLOW_TOKEN": self._token(name),
            "AIRFLOW_CONN_AZURE_PG": self.warehouse,
            "AIRFLOW_STUDENT": name,
        }
        before = {key: os.environ.get(key) for key in own}
        os.environ.update(own)
        try:
            yield AirflowApi.from_environment()
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})

    def dags(self, *, all_known: bool = False) -> Shown:
        """Show the DAGs: their file, whether they are paused, and the commit that they were read from.

        Parameters
        ----------
        all_known
            Those that are in no file any more as well.
        """
        found = [dag for dag in self.api.dags(stale=all_known) if dag["dag_id"]]
        rows = [
            [dag["dag_id"], dag["relative_fileloc"], "paused" if dag["is_paused"] else "active",
             (dag["bundle_version"] or "")[:7], "stale" if dag["is_stale"] else "current"]
            for dag in sorted(found, key=lambda dag: str(dag["dag_id"]))
        ]  # fmt: skip
        what = "DAGs that the shared Airflow knows" if all_known else "DAGs on the shared Airflow"
        return table(["dag_id", "file", "paused?", "commit", "in a file?"], rows, f"{what}: {len(rows)}.")

    def wait_for_commit(self, *dag_ids: str, limit: float = 60) -> None:
        """Wait until these DAGs were read from main as it now is, and print how long it took.

        Raises
        ------
        CourseError
            After `limit` seconds.
        """
        commit, begun = main_commit(), time.monotonic()

        def there() -> bool:
            found = [self.api.dag(dag_id) for dag_id in dag_ids]
            return all(dag and not dag["is_stale"] and dag["bundle_version"] == commit for dag in found)

        names = ", ".join(dag_ids)
        until(there, f"The shared Airflow has not read {names} at {commit[:7]}", limit, "Look at import_errors().")
        print(f"The shared Airflow has {names} of commit {commit[:7]}, after {time.monotonic() - begun:.0f} s.")

    def wait_until_gone(self, dag_id: str, limit: float = 60) -> None:
        """Wait until a DAG is stale: no file on main has it any more.

        Raises
        ------
        CourseError
            After `limit` seconds.
        """
        until(
            lambda: (self.api.dag(dag_id) or {"is_stale": True})["is_stale"],
            f"{dag_id} is still current", limit, "Is it really in no file of main?",
        )  # fmt: skip
        print(f"{dag_id} is in no file any more: the shared Airflow calls it stale.")

    def files_in_turn(self, dag_id: str, count: int = 3, limit: float = 60) -> list[str]:
        """Watch which file a DAG comes from, as `autograder.waiting.files_in_turn` does."""
        return files_in_turn(dag_id, count, limit, api=self.api)

    def audit_log(self, dag_id: str = "") -> Shown:
        """Show what people did, oldest first: who, what, and with which DAG.

        Parameters
        ----------
        dag_id
            Only what was done with this one.
        """
        rows = [
            [event["when"][11:19], event["owner"], BY_PEOPLE[event["event"]], event["dag_id"], event["run_id"]]
            for event in self.api.events(dag_id)
            if event["event"] in BY_PEOPLE
        ]
        about = f"with {dag_id}" if dag_id else "on the shared Airflow"
        return table(["at", "who", "did what", "dag_id", "run"], rows, f"What people did {about}: {len(rows)} actions.")

    def contents(self) -> dict[str, str]:
        """Return how many rows each table of the warehouse has and a checksum of them, by `schema.table`."""
        found = {}
        with psycopg.connect(self.warehouse) as connection:
            names = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'airflow%' ORDER BY 1, 2"
            ).fetchall()
            for schema, name in names:
                ((rows, checksum),) = connection.execute(CHECKSUM.format(sql.Identifier(schema, name))).fetchall()
                found[f"{schema}.{name}"] = f"{rows} rows, checksum {checksum[:8]}"
        return found

    @property
    def api(self) -> AirflowApi:
        """Its REST API, as someone who only looks."""
        return AirflowApi(self.url)

    def _token(self, name: str) -> str:
        if name not in self.tokens:
            raise CourseError(
                f"There is no user {name!r} on the shared Airflow.",
                todo=f"Use one of: {', '.join(self.tokens)}.",
                exit_code=1,
            )
        return self.tokens[name]


def start_shared_airflow(student: str) -> SharedAirflow:
    """Start the shared Airflow on the class repository, for the student, two classmates and the teacher.

    Raises
    ------
    CourseError
        When there is no class repository, or it cannot start.
    """
    main_commit()  # says so where there is no repository
    for earlier in _running:
        if earlier.stdin:
            earlier.stdin.close()  # it ends by itself, with all that it started
    _running.clear()
    users = [student, *classmates(student), "teacher"]
    process = subprocess.Popen(
        [sys.executable, "-m", "autograder.airflow_local.class_airflow", str(ORIGIN.resolve()), *users],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    _running.append(process)
    answer = process.stdout.readline() if process.stdout else ""
    said = json.loads(answer or '{"error": "It ended without a word."}')
    if "error" in said:
        raise CourseError(f"The shared Airflow did not start. {said['error']}", todo="Run ./course doctor.")
    print(f"The shared Airflow is healthy. Its UI is at {said['url']}")
    return SharedAirflow(**said)
