"""Everything that one run of the course needs, running: Postgres, the source, and an Airflow on a project.

Contract: a `World` is what a student's pipeline finds around it: a source whose months come from a seed or from real
files, a receiver of its notifications, and an empty warehouse. `World.airflow` gives an Airflow in it that runs the
DAG files of a project; `start` makes both. Several of a session share a `Shared`: one Postgres, and the warm parents.
All of it belongs to the session and ends with it; the project folder is not written to.
"""

import contextlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from autograder.airflow_local import months as tlc
from autograder.airflow_local import namespaces, postgres
from autograder.airflow_local.airflow import CLUSTER_POLICY, COMPONENTS, Airflow, Keys, migrate
from autograder.airflow_local.commands import Commands, search_path
from autograder.airflow_local.outside import CERTIFICATE_SETTINGS
from autograder.airflow_local.postgres import ADMIN, LOOKER, WAREHOUSE, Postgres
from autograder.airflow_local.servers import Server, Source
from autograder.airflow_local.session import Session
from autograder.airflow_local.source import read_log
from autograder.airflow_local.warm import FOLDERS
from autograder.airflow_local.warm_client import SANDBOX
from autograder.sandbox import Sandbox
from autograder.sandbox import environment as inner

MONTHS = tuple(f"2024-{month:02d}" for month in range(1, 8))
"""The months of the backfill, which the source publishes; of any other it answers 403."""

DEFAULT_ROWS = 2000
"""Rows of a generated month, about."""

PRACTICE_KEY = b"course"
"""Public: it makes students' months differ, and hides nothing."""

LOOK_LIMIT = 60.0
"""Seconds that one look at a student's tables may take: a view of theirs can take for ever."""

DEPLOYED_PROJECTS = ("/usr/local/airflow", "/opt/airflow")
"""Where a deployed project stands: in Astro's image, and in Airflow's own."""


GRADED = {
    # No run but those that are asked for: unpausing would make one of the current month.
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    # Files do not change: the DAG processor reads them once, and then has time for callbacks.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    # Airflow's own, but no id leads out of the folder of logs: what is stored of a DAG may be anything.
    "AIRFLOW__LOGGING__LOG_FILENAME_TEMPLATE": (
        "dag_id={{ ti.dag_id|replace('/', '_') }}/run_id={{ ti.run_id|replace('/', '_') }}"
        "/task_id={{ ti.task_id|replace('/', '_') }}"
        "/{% if ti.map_index >= 0 %}map_index={{ ti.map_index }}/{% endif %}"
        "attempt={{ try_number|default(ti.try_number) }}.log"
    ),
}
"""Airflow's settings where a submission is judged."""


def practice_seed(student: str) -> str:
    """Return the seed of the months that a student practises with: unlike another's, and unlike grading's."""
    return hmac.new(PRACTICE_KEY, student.encode(), "sha256").hexdigest()


def practice_rows(student: str) -> dict[str, int]:
    """Return how many trips of its own each month has that a student practises with, without making the files."""
    return {month: tlc.generated(month, DEFAULT_ROWS, practice_seed(student)).in_month for month in MONTHS}


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
        path = {"PATH": search_path(session)}
        nobody = Airflow(session, database, postgres.TEMPLATE_DATABASE, session.folder, path, keys)
        return cls(session, database, Commands.start(session, database, nobody.environment), keys)


@dataclass(frozen=True)
class World:
    """What a student's pipeline finds around it: the source, the receiver of notifications, a warehouse.

    Use `World.start`. `outside` is the folder with the logs of the proxy and of the notifications.
    """

    shared: Shared
    name: str
    source: Source
    outside: Path
    outside_server: Server
    sandbox: Sandbox | None = None

    @classmethod
    def start(
        cls,
        shared: Shared,
        *,
        seed: str,
        sandbox: Sandbox | None = None,
        name: str = "airflow",
        rows: int = DEFAULT_ROWS,
        data: Path | None = None,
        more: Sequence[str] = (),
        spoiled: Sequence[str] = (),
    ) -> "World":
        """Start the source and the receiver of notifications, and make the warehouse where there is none.

        Parameters
        ----------
        shared
            What it shares with others of its session, which ends and removes all of it.
        seed
            What the generated months are made from.
        sandbox
            What a student's code is to run in, if not beside the rest.
        name
            Tells it from the session's other worlds.
        rows
            Rows of a generated month, about.
        data
            A folder of real TLC files to serve in place of generated ones.
        more
            Months to publish beside `MONTHS`; those of `spoiled` as `months.spoil` leaves them.

        Raises
        ------
        CourseError
            When a part cannot start, or `data` holds an unusable file.
        """
        session, database = shared.session, shared.postgres
        files, outside = session.folder / f"{name}-source", session.folder / f"{name}-outside"
        months = tlc.stock(files, [*MONTHS, *more, *spoiled], rows=rows, seed=seed, data=data)
        for month in spoiled:
            tlc.spoil(files / "trip-data" / tlc.file_name(month))
        outside.mkdir()
        log, faults = session.logs / f"{name}-requests.jsonl", files / "faults.json"
        # A warm parent that is still importing would be waited for: what is wanted now starts cold.
        module, warm = shared.commands.module, shared.commands.ready("airflow")
        argv = module(
            "autograder.airflow_local.source",
            "--root",
            str(files),
            "--log",
            str(log),
            "--faults",
            str(faults),
            warm=warm,
        )
        server = Server.start(session, f"{name}-source", argv)
        port = server.said["port"]
        argv = module("autograder.airflow_local.outside", "--source", str(port), "--folder", str(outside), warm=warm)
        source = Source(f"http://127.0.0.1:{port}", months, log, files, faults, server)
        made = cls(shared, name, source, outside, Server.start(session, f"{name}-outside", argv), sandbox)
        if sandbox:
            database.create_confined_user(made.user)
            sandbox.watch_database(database, made.warehouse)
            sandbox.watch_witnessed(log, outside)
        if not database.has_database(made.warehouse):
            database.create_database(made.warehouse, owner=made.user)
        return made

    @property
    def user(self) -> str:
        """The warehouse's user, as which DAGs connect."""
        return f"{WAREHOUSE}_{self.name}" if self.sandbox else WAREHOUSE

    @property
    def warehouse(self) -> str:
        """The name of the warehouse's database."""
        return f"{WAREHOUSE}_{self.name}"

    def connect(self) -> psycopg.Connection:
        """Open a connection to the warehouse as its administrator, which commits each statement.

        Names without a schema are Postgres's own: no function or type of a student's can take one's place.
        """
        return self.shared.postgres.connect(self.warehouse, search_path="pg_catalog")

    @contextlib.contextmanager
    def look(self) -> Iterator[psycopg.Connection]:
        """Open a connection that reads the warehouse, on which a student's functions and views can do no harm."""
        user = self.user + LOOKER if self.sandbox else ADMIN
        limit = {"statement_timeout": f"{LOOK_LIMIT:.0f}s"}
        with contextlib.ExitStack() as stack:
            if self.sandbox:
                stack.enter_context(self.sandbox.reading())
            connect = self.shared.postgres.connect(self.warehouse, user=user, search_path="pg_catalog", **limit)
            yield stack.enter_context(connect)

    def notifications(self) -> list[dict[str, Any]]:
        """Return the notifications that came so far, oldest first."""
        return read_log(self.notify_log) if self.notify_log.exists() else []

    @property
    def notify_log(self) -> Path:
        """Where notifications are written down, once one has come."""
        return self.outside / "notify.jsonl"

    def proxied(self) -> list[dict[str, Any]]:
        """Return what the proxy was asked for so far, oldest first."""
        log = self.outside / "proxy.jsonl"
        return read_log(log) if log.exists() else []

    def airflow(
        self,
        project: Path,
        *,
        student: str | None,
        name: str | None = None,
        warehouse: str | None = None,
        retry_delay: float | None = None,
        closed: bool = False,
        own_metadata: bool = False,
        extra: Mapping[str, str] = {},
    ) -> Airflow:
        """Return an Airflow on a project folder, not started.

        Parameters
        ----------
        project
            Holds `dags/`, and `include/dbt_project/` where its DAG uses dbt.
        student
            Whose schema the DAG writes to (AIRFLOW_STUDENT); None for an Airflow of many students.
        name
            Tells it from the session's other Airflows; the world's own name unless given.
        warehouse
            The database that `azure_pg` leads to, if it is not the world's.
        retry_delay
            Seconds between two tries of a task, in place of what its DAG says.
        closed
            Whether TLC's host is the source and no other can be had, and a deployed project's paths are this one's.
        own_metadata
            Whether a student's programs may use its metadata database, which then is for nothing else.
        extra
            More of its environment.
        """
        shared, name = self.shared, name or self.name
        modules = [CLUSTER_POLICY] if self.sandbox else [CLUSTER_POLICY, project]  # as in a deployed project
        environment = {
            "PATH": search_path(shared.session),
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "AIRFLOW_CONN_AZURE_PG": shared.postgres.uri(warehouse or self.warehouse, user=self.user),
            # With a schema: some build the address from the connection's parts.
            "AIRFLOW_CONN_NOTIFY": f"http://127.0.0.1:{self.outside_server.said['notify']}/http",
            "TLC_URL": self.source.url,
            "COURSE_RETRY_DELAY": "" if retry_delay is None else str(retry_delay),
            # dbt keeps what it has parsed in its target folder, and need not parse it again for each command.
            "DBT_TARGET_PATH": str(shared.session.folder / f"{name}-dbt"),
            "DBT_LOG_PATH": str(shared.session.logs / f"{name}-dbt"),
            # Beside what it prints, which the task's log has: a tenth of a call of dbt.
            "DBT_LOG_LEVEL_FILE": "none",
            # It looks for the relations of a schema when it needs them, rather than at the start of each command.
            "DBT_POPULATE_CACHE": "false",
            **({"AIRFLOW_STUDENT": student} if student else {}),
            **(self._closed(project, name) if closed else {}),
            **extra,
        }
        made = Airflow(shared.session, shared.postgres, name, project / "dags", environment, shared.keys)
        return self._confined(made, project, own_metadata=own_metadata) if self.sandbox else made

    def _confined(self, airflow: Airflow, project: Path, *, own_metadata: bool) -> Airflow:
        """Return an Airflow whose DAG files and tasks are read and run in the sandbox."""
        assert self.sandbox  # noqa: S101 - the caller's
        shared, said, database = self.shared, self.outside_server.said, self.shared.postgres
        metadata = database.uri(airflow.name, user=self.user, driver="postgresql+psycopg2") if own_metadata else None
        self.sandbox.watch_database(database, airflow.name)
        logs = [shared.session.logs / f"{airflow.name}-{component}.log" for component in COMPONENTS]
        self.sandbox.watch_logs(shared.session.logs / airflow.name, *logs)
        inside = self.sandbox.open(
            shared.session,
            airflow.name,
            project,
            environment=inner.inside(airflow.environment, shared.session.folder, project, metadata=metadata),
            readable=[self.outside / "ca.pem"],
            links=_deployed_folders(project),
            ports=[database.port, urlsplit(self.source.url).port or 0, said["proxy"], said["notify"]],
            commands=shared.commands,
        )
        return replace(airflow, extra={**airflow.extra, SANDBOX: str(inside.description)}, inside=inside)

    def _closed(self, project: Path, name: str) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{self.outside_server.said['proxy']}"
        bind = not self.sandbox and namespaces.can_bind()
        return {
            **GRADED,
            "COURSE_CALLED": str(self.shared.session.folder / f"{name}-called"),
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
            **dict.fromkeys(CERTIFICATE_SETTINGS, str(self.outside / "ca.pem")),
            **({FOLDERS: json.dumps(_deployed_folders(project))} if bind else {}),
        }

    def stop(self) -> None:
        """End the servers, and what is in the sandbox; the databases stay until the session ends."""
        if self.sandbox:
            self.sandbox.close()
        self.source.server.stop()
        self.outside_server.stop()


def _deployed_folders(project: Path) -> dict[str, str]:
    dbt = str((project / "include" / "dbt_project").resolve())
    return {f"{deployed}/include/dbt_project": dbt for deployed in DEPLOYED_PROJECTS}


@dataclass(frozen=True)
class Local:
    """A running Airflow with its source and warehouse, for one student."""

    world: World
    airflow: Airflow
    student: str
    data: Path | None = None
    """The folder of real TLC files that its source serves; None when all months are generated."""

    @property
    def shared(self) -> Shared:
        """What it shares with others of its session."""
        return self.world.shared

    @property
    def source(self) -> Source:
        """What it reads."""
        return self.world.source

    @property
    def schema(self) -> str:
        """The student's schema in the warehouse."""
        return f"airflow_{self.student}"

    @property
    def notebook_environment(self) -> dict[str, str]:
        """What a notebook needs in its environment: the Airflow, and its owner's view of the source and the inbox."""
        return {
            **self.airflow.environment,
            "COURSE_SOURCE_FAULTS": str(self.source.faults),
            "COURSE_SOURCE_LOG": str(self.source.log),
            "COURSE_NOTIFICATIONS": str(self.world.notify_log),
            "COURSE_DATA": str(self.data.resolve()) if self.data else "",
        }

    def connect(self) -> psycopg.Connection:
        """Open a connection to the warehouse as its administrator, which commits each statement."""
        return self.world.connect()

    def stop(self) -> None:
        """End the Airflow and the source; the session's other parts stay."""
        self.airflow.stop()
        self.world.stop()


def start(
    shared: Shared,
    project: Path,
    *,
    student: str,
    seed: str,
    name: str = "airflow",
    data: Path | None = None,
    components: Sequence[str] = COMPONENTS,
) -> Local:
    """Start an Airflow on a project folder; see `World.start` and `World.airflow`.

    Without `components` its metadata database is made, and they are left to be started later.
    """
    world = World.start(shared, seed=seed, name=name, data=data)
    airflow = world.airflow(project, student=student)
    airflow.make_database()
    if components:
        shared.commands.revive()
        shared.commands.wait("airflow")
        airflow.start(components)
    return Local(world, airflow, student, data)
