"""Everything that one run of the course needs, running: Postgres, the source, and an Airflow on a project.

Contract: `start` gives an Airflow that runs the DAG files of `project/dags` for one student, against an empty
warehouse and a source whose months come from a seed or from real files. Several of a session share a `Shared`: one
Postgres, and the warm parents. All of it belongs to the session and ends with it; the project folder is not written
to.
"""

import contextlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from autograder.airflow_local import months as tlc
from autograder.airflow_local import postgres
from autograder.airflow_local.airflow import COMPONENTS, Airflow, Keys, migrate
from autograder.airflow_local.commands import SCRIPTS, Commands
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.airflow_local.session import Session
from autograder.airflow_local.source import read_log

MONTHS = tuple(f"2024-{month:02d}" for month in range(1, 8))
"""The months of the backfill, which the source publishes; of any other it answers 403."""

DEFAULT_ROWS = 2000
"""Rows of a generated month, about."""


def practice_seed(student: str) -> str:
    """Return what the months that a student practises with are made from, unlike those of any other.

    The key is no secret: it lets the checker know the rows that a student's report tells of.
    """
    return hmac.new(b"course", student.encode(), "sha256").hexdigest()


def practice_rows(student: str) -> dict[str, int]:
    """Return how many trips of its own each month has that a student practises with, by month."""
    with tempfile.TemporaryDirectory(prefix="course-months-") as folder:
        stock = tlc.stock(Path(folder), MONTHS, rows=DEFAULT_ROWS, seed=practice_seed(student), data=None)
    return {month: facts.in_month for month, facts in stock.items()}


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
    faults
        The file through which its owner asks for faults (`source.write_faults`).
    process
        The server.
    """

    url: str
    months: dict[str, tlc.MonthFacts]
    log: Path
    faults: Path
    process: subprocess.Popen[bytes]

    def requests(self) -> list[dict[str, object]]:
        """Return what was asked of the source so far, oldest first."""
        return read_log(self.log) if self.log.exists() else []


@dataclass(frozen=True)
class Shared:
    """What the Airflows of a session share: Postgres, the warm parents, and the keys.

    Use `Shared.start`.
    """

    session: Session
    postgres: Postgres
    commands: Commands
    keys: Keys

    @classmethod
    def start(cls, session: Session, home: Path | None = None) -> "Shared":
        """Start Postgres and the warm parents.

        Parameters
        ----------
        session
            Owns them.
        home
            Where databases and keys are to stay for later sessions; they go with the session otherwise.

        Raises
        ------
        CourseError
            When one cannot start.
        """
        kept = home and home / "postgres"
        database = postgres.start(session, lambda uri: migrate(session, uri), data=kept)
        return cls.on(session, database, Keys.kept(home / "keys.json") if home else Keys())

    @classmethod
    def on(cls, session: Session, database: Postgres, keys: Keys) -> "Shared":
        """Start the warm parents beside a Postgres that runs already."""
        # The parent imports under the settings of an Airflow that nobody starts.
        nobody = Airflow(session, database, postgres.TEMPLATE_DATABASE, session.folder, {}, keys)
        return cls(session, database, Commands.start(session, database, nobody.environment), keys)


@dataclass(frozen=True)
class Local:
    """A running Airflow with its source and warehouse, for one student."""

    shared: Shared
    source: Source
    airflow: Airflow
    warehouse: str
    student: str

    @property
    def schema(self) -> str:
        """The student's schema in the warehouse."""
        return f"airflow_{self.student}"

    @property
    def notebook_environment(self) -> dict[str, str]:
        """What a notebook needs in its environment: the Airflow, and its owner's view of the source."""
        return {
            **self.airflow.environment,
            "COURSE_SOURCE_FAULTS": str(self.source.faults),
            "COURSE_SOURCE_LOG": str(self.source.log),
        }

    def connect(self) -> psycopg.Connection:
        """Open a connection to the warehouse as its administrator, which commits each statement."""
        return self.shared.postgres.connect(self.warehouse)

    def stop(self) -> None:
        """End the Airflow and the source; the session's other parts stay."""
        self.airflow.stop()
        self.source.process.kill()
        self.source.process.wait()


def start(
    shared: Shared,
    project: Path,
    *,
    student: str,
    seed: str,
    name: str = "airflow",
    rows: int = DEFAULT_ROWS,
    data: Path | None = None,
    components: Sequence[str] = COMPONENTS,
    retry_delay: float | None = None,
) -> Local:
    """Start an Airflow on a project folder.

    Parameters
    ----------
    shared
        What it shares with others of its session, which ends and removes all of it.
    project
        Holds `dags/`, and `include/dbt_project/` where its DAG uses dbt.
    student
        Whose schema the DAG writes to (AIRFLOW_STUDENT).
    seed
        What the generated months are made from.
    name
        Tells it from the session's other Airflows.
    rows
        Rows of a generated month, about.
    data
        A folder of real TLC files to serve in place of generated ones.
    components
        Of Airflow; without the DAG processor, `airflow dags reserialize` parses on demand. None, to start them later.
    retry_delay
        Seconds between two tries of a task, in place of what its DAG says.

    Raises
    ------
    CourseError
        When a part cannot start, or `data` holds an unusable file.
    """
    session, database = shared.session, shared.postgres
    files = session.folder / f"{name}-source"
    source = _start_source(session, name, files, tlc.stock(files, MONTHS, rows=rows, seed=seed, data=data))
    warehouse = f"{WAREHOUSE}_{name}"
    if not database.has_database(name):
        database.create_database(name, template=postgres.TEMPLATE_DATABASE)
    if not database.has_database(warehouse):
        database.create_database(warehouse, owner=WAREHOUSE)
    extra = {
        "PATH": os.pathsep.join([str(shared.commands.folder), str(SCRIPTS), os.environ["PATH"]]),
        "AIRFLOW_CONN_AZURE_PG": database.uri(warehouse, user=WAREHOUSE),
        "AIRFLOW_STUDENT": student,
        "TLC_URL": source.url,
        "COURSE_RETRY_DELAY": "" if retry_delay is None else str(retry_delay),
        # dbt keeps what it has parsed in its target folder, and need not parse it again for each command.
        "DBT_TARGET_PATH": str(session.folder / f"{name}-dbt"),
        "DBT_LOG_PATH": str(session.logs / f"{name}-dbt"),
    }
    airflow = Airflow(session, database, name, project / "dags", extra, shared.keys)
    if components:
        shared.commands.wait("airflow")
        airflow.start(components)
        shared.commands.wait("dbt")
    return Local(shared, source, airflow, warehouse, student)


def _start_source(session: Session, name: str, files: Path, months: dict[str, tlc.MonthFacts]) -> Source:
    log = session.logs / f"{name}-requests.jsonl"
    faults = session.folder / f"{name}-faults.json"
    argv = [sys.executable, "-m", "autograder.airflow_local.source", "--root", str(files), "--log", str(log)]
    argv += ["--faults", str(faults)]
    process = session.start(f"{name}-source", argv)
    said = session.logs / f"{name}-source.log"

    def port() -> int | None:
        with contextlib.suppress(ValueError, KeyError, IndexError):
            return int(json.loads(said.read_text().splitlines()[0])["port"])
        return None

    session.wait_until(lambda: port() is not None, "The source", process=process, name=f"{name}-source", limit=30)
    return Source(f"http://127.0.0.1:{port()}", months, log, faults, process)
