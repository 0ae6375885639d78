"""Everything that one run of the course needs, running: Postgres, the source, and an Airflow on a project.

Contract: `start` gives an Airflow that runs the DAG files of `project/dags` for one student, against an empty
warehouse and a source whose months come from a seed or from real files. All of it belongs to a session, and ends
with it; the project folder is not written to.
"""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.airflow_local import months as tlc
from autograder.airflow_local import postgres
from autograder.airflow_local.airflow import COMPONENTS, Airflow, migrate
from autograder.airflow_local.commands import SCRIPTS, Commands
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.airflow_local.session import Session
from autograder.airflow_local.source import read_log

MONTHS = tuple(f"2024-{month:02d}" for month in range(1, 8))
"""The months of the backfill, which the source publishes; of any other it answers 403."""

DEFAULT_ROWS = 2000
"""Rows of a generated month, about."""


@dataclass(frozen=True)
class Source:
    """The running HTTP source.

    Parameters
    ----------
    url
        Its base address, TLC's layout beneath.
    months
        What each month's file holds.
    log
        The access log, one JSON object a line.
    """

    url: str
    months: dict[str, tlc.MonthFacts]
    log: Path

    def requests(self) -> list[dict[str, object]]:
        """Return what was asked of the source so far, oldest first."""
        return read_log(self.log) if self.log.exists() else []


@dataclass(frozen=True)
class Local:
    """A running Airflow with its source and warehouse, for one student."""

    session: Session
    postgres: Postgres
    source: Source
    airflow: Airflow
    student: str

    @property
    def schema(self) -> str:
        """The student's schema in the warehouse."""
        return f"airflow_{self.student}"


def start(
    session: Session,
    project: Path,
    *,
    student: str,
    seed: str,
    rows: int = DEFAULT_ROWS,
    data: Path | None = None,
    components: Sequence[str] = COMPONENTS,
    retry_delay: float | None = None,
) -> Local:
    """Start an Airflow on a project folder.

    Parameters
    ----------
    session
        Ends and removes all of it.
    project
        Holds `dags/`, and `include/dbt_project/` where its DAG uses dbt.
    student
        Whose schema the DAG writes to (AIRFLOW_STUDENT).
    seed
        What the generated months are made from.
    rows
        Rows of a generated month, about.
    data
        A folder of real TLC files to serve in place of generated ones.
    components
        Of Airflow; without the DAG processor, `airflow dags reserialize` parses on demand.
    retry_delay
        Seconds between two tries of a task, in place of what its DAG says.

    Raises
    ------
    CourseError
        When a part cannot start, or `data` holds an unusable file.
    """
    months = tlc.stock(session.folder / "source", MONTHS, rows=rows, seed=seed, data=data)
    source = _start_source(session, months)
    database = postgres.start(session, lambda uri: migrate(session, uri))
    database.create_database("airflow", template=postgres.TEMPLATE_DATABASE)
    extra = {
        "AIRFLOW_CONN_AZURE_PG": database.uri(WAREHOUSE, user=WAREHOUSE),
        "AIRFLOW_STUDENT": student,
        "TLC_URL": source.url,
        "PYTHONPATH": str(Path(__file__).parent / "config"),
        "COURSE_RETRY_DELAY": "" if retry_delay is None else str(retry_delay),
        # dbt keeps what it has parsed in its target folder, and need not parse it again for each command.
        "DBT_TARGET_PATH": str(session.folder / "dbt" / "target"),
        "DBT_LOG_PATH": str(session.logs / "dbt"),
    }
    airflow = Airflow(session, database, "airflow", project / "dags", extra)
    commands = Commands.start(session, database, airflow.environment)
    extra["PATH"] = os.pathsep.join([str(commands.folder), str(SCRIPTS), os.environ["PATH"]])
    commands.wait("airflow")
    airflow.start(components)
    commands.wait("dbt")
    return Local(session, database, source, airflow, student)


def _start_source(session: Session, months: dict[str, tlc.MonthFacts]) -> Source:
    log = session.logs / "source-requests.jsonl"
    argv = [sys.executable, "-m", "autograder.airflow_local.source"]
    process = session.start("source", [*argv, "--root", str(session.folder / "source"), "--log", str(log)])
    said = session.logs / "source.log"

    def port() -> int | None:
        with contextlib.suppress(ValueError, KeyError, IndexError):
            return int(json.loads(said.read_text().splitlines()[0])["port"])
        return None

    session.wait_until(lambda: port() is not None, "The source", process=process, name="source", limit=30)
    return Source(f"http://127.0.0.1:{port()}", months, log)
