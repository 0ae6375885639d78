"""What Airflow makes of the DAG files, and what reading them touched.

Contract: `parsed` has a folder's files read once, as they are written, by a process in the environment of an Airflow
that need not run, and returns that part of the evidence. `dag_of` says which DAG is judged.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from autograder.airflow_local.airflow import Airflow
from autograder.airflow_local.leaf import ADDED
from autograder.airflow_local.local import World
from autograder.airflow_local.session import tail
from autograder.errors import CourseError
from autograder.observe.scenarios import DAG_ID
from autograder.observe.stage import Part

LIMIT = 240.0
"""Seconds for all files; each has a limit of its own."""

FLUSHED_WITHIN = 2.0
"""Seconds until Postgres has counted a session that has ended."""


def parsed(world: World, airflow: Airflow) -> Part:
    """Read the DAG files.

    Returns
    -------
    dict
        `import_errors`, `dags`, `seconds` (of the imports), and `contacts`, made while the files were read: `source`
        (paths), `hosts` (others), `warehouse` (sessions), `metadata` (look-ups of connections and variables).
    """
    session = airflow.session
    out, lookups = session.folder / f"{airflow.name}-parsed.json", session.folder / f"{airflow.name}-lookups"
    reading = {
        "COURSE_RETRY_DELAY": "",
        "COURSE_LOOKUPS": str(lookups),
        "AIRFLOW__SECRETS__BACKEND": "course_secrets.Witness",
    }
    environment = {**airflow.environment, **reading, ADDED: json.dumps(reading)}
    asked, proxied, sessions = len(world.source.requests()), len(world.proxied()), _sessions(world)
    name = f"{airflow.name}-describe"
    argv = world.shared.commands.module("autograder.airflow_local.describe", str(out))
    process = session.start(name, argv, env=environment, cwd=airflow.dags.parent)
    try:
        code: int | None = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        session.end_group(process)
        code = None
    log = session.logs / f"{name}.log"
    if code != 0 or not out.exists():
        raise CourseError(f"The DAG files cannot be read. The end of the log:\n{tail(log)}", where=str(log))
    described: dict[str, Any] = json.loads(out.read_text())
    opened = _sessions(world) - sessions
    # Read last: the source writes its log when it has answered.
    contacts = {
        "source": [str(request["path"]) for request in world.source.requests()[asked:]],
        "hosts": sorted({str(line["host"]) for line in world.proxied()[proxied:] if not line["allowed"]}),
        "warehouse": opened,
        "metadata": len(airflow.written(lookups).splitlines()),
    }
    return {**described, "contacts": contacts}


def _sessions(world: World) -> int:
    """Return how many sessions were ever opened on the warehouse; those that have ended are counted for certain."""
    deadline = time.monotonic() + FLUSHED_WITHIN
    with world.shared.postgres.connect("postgres") as connection:
        while True:
            count, still_open = connection.execute(
                "SELECT pg_stat_get_db_sessions(oid), (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid)"
                " FROM pg_database AS d WHERE datname = %s",
                [world.warehouse],
            ).fetchone() or (0, 0)
            if not still_open or time.monotonic() > deadline:
                return int(count)
            time.sleep(0.02)


def dag_of(described: Part, student: str, folder: Path | None = None) -> str | None:
    """Return the id of the DAG that is judged: of those in files of `folder`, if given."""
    dags = {
        dag_id for dag_id, dag in described["dags"].items() if folder is None or folder in Path(dag["file"]).parents
    }
    ids = (DAG_ID, f"{student}_{DAG_ID}") if folder is None else (f"{student}_{DAG_ID}", DAG_ID, *sorted(dags))
    return next((dag_id for dag_id in ids if dag_id in dags), None)
