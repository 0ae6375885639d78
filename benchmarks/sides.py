"""The two sides: Airflow as a careful user runs it, and as the course does.

Contract: `Stock` and `Ours` are made on the same ground (`Ground`: a session, a project, a Postgres with Airflow's
migrated tables), and offer the same: `environment` for commands, `start`, `api`, `local` for the warehouse and the
source. Stock is `airflow standalone`, the packages' own `airflow` and `dbt`, and settings only where it would not
work here without: nothing of the course's tuning, of Postgres neither.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import sql

from autograder.airflow_api import AirflowApi
from autograder.airflow_local import local as airflow_local
from autograder.airflow_local import postgres
from autograder.airflow_local.airflow import Airflow, Keys, migrate
from autograder.airflow_local.commands import Commands
from autograder.airflow_local.local import Local, Shared
from autograder.airflow_local.postgres import Postgres
from autograder.airflow_local.session import MARK, Session, free_port
from autograder.errors import CourseError
from autograder.observe.project import IGNORED
from autograder.paths import DAGS, DBT_PROJECT

HEALTHY_WITHIN = 300.0
"""Seconds that a stock Airflow may take to start."""

TUNED = (*postgres.DURABLE, "scram_iterations")
"""Settings of Postgres that the course changes for speed."""

DAG_ID = "taxi_pipeline"
STUDENT = "default"


@dataclass(frozen=True)
class Ground:
    """What stands before either side starts: a project of its own, and a Postgres."""

    session: Session
    database: Postgres
    project: Path

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator["Ground"]:
        """Prepare it, and end and remove all that was started on it when the block ends."""
        with Session.open() as session:
            project = session.folder / "project"
            (project / "dags").mkdir(parents=True)
            shutil.copy(DAGS / f"{DAG_ID}.py", project / "dags")
            shutil.copytree(DBT_PROJECT, project / "include" / "dbt_project", ignore=IGNORED)
            yield cls(session, postgres.start(session, lambda uri: migrate(session, uri)), project)

    def local(self, shared: Shared) -> Local:
        """Start the source, and return the deployment that is to be started on it."""
        seed = airflow_local.practice_seed(STUDENT)
        return airflow_local.start(shared, self.project, student=STUDENT, seed=seed, components=())

    def nobody(self) -> Airflow:
        """Return an Airflow that is not to run: some settings are read from one."""
        return Airflow(self.session, self.database, postgres.TEMPLATE_DATABASE, self.session.folder, {}, Keys())


@dataclass
class Ours:
    """The course's way: commands from warm parents, components that these fork."""

    ground: Ground
    shared: Shared

    @classmethod
    def warm_up(cls, ground: Ground) -> "Ours":
        """Start the warm parents, and wait for both."""
        made = cls(ground, Shared.on(ground.session, ground.database, Keys()))
        for program in ("airflow", "dbt"):
            made.shared.commands.wait(program)
        return made

    @cached_property
    def local(self) -> Local:
        """The deployment; its source starts with the first use."""
        return self.ground.local(self.shared)

    @property
    def api(self) -> AirflowApi:
        """Its REST API."""
        return AirflowApi(self.local.airflow.url)

    @cached_property
    def environment(self) -> dict[str, str]:
        """What a command needs to reach it."""
        return self.ground.session.environment(self.local.airflow.environment)

    def start(self) -> None:
        """Start its components; return when they are healthy."""
        self.local.airflow.start()


@dataclass
class Stock:
    """A careful user's way: `airflow standalone`, and each command a process of its own."""

    ground: Ground
    port: int = field(default_factory=free_port)
    keys: Keys = field(default_factory=Keys)

    def __post_init__(self) -> None:
        """Give Postgres the settings that it comes with."""
        database = self.ground.database
        with database.connect(postgres.ADMIN) as connection:
            query = "SELECT name, boot_val FROM pg_settings WHERE name = ANY(%s)"
            for name, value in connection.execute(query, [list(TUNED)]).fetchall():
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")
            while tuned(connection):  # until it has read them
                time.sleep(0.01)
            for user, password in database.passwords.items():  # stored anew, with as many rounds as it then takes
                role = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(role.format(sql.Identifier(user), sql.Literal(password)))

    @cached_property
    def local(self) -> Local:
        """The deployment as the course would make it, for its source, its warehouse and its metadata database."""
        ground = self.ground
        return ground.local(Shared(ground.session, ground.database, Commands(ground.session, {}), self.keys))

    @property
    def url(self) -> str:
        """The address of its API server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> AirflowApi:
        """Its REST API."""
        return AirflowApi(self.url)

    @cached_property
    def environment(self) -> dict[str, str]:
        """What a command needs to reach it."""
        given = self.local.airflow
        home = self.ground.session.folder / "stock"
        settings = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_FOLDER": str(given.dags),
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "DATABASE__SQL_ALCHEMY_CONN": given.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
            "CORE__FERNET_KEY": self.keys.fernet,
            "API__SECRET_KEY": self.keys.jwt,
            "API_AUTH__JWT_SECRET": self.keys.jwt,
            # Free ports, as beside whatever else runs on the machine.
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }
        shared = [name for name in given.extra if not name.startswith(("COURSE_", "DBT_"))]
        return self.ground.session.environment(
            {
                "AIRFLOW_HOME": str(home),
                MARK: self.ground.session.mark(home),
                **{name: given.environment[name] for name in shared},
                **{f"AIRFLOW__{key}": value for key, value in settings.items()},
            }
        )

    def start(self) -> None:
        """Start `airflow standalone`; return when its parts are healthy."""
        process = self.ground.session.start("standalone", ["airflow", "standalone"], env=self.environment)
        api = self.api

        def healthy() -> bool:
            try:
                return api.healthy()
            except CourseError:  # it does not answer yet
                return False

        self.ground.session.wait_until(
            healthy, "airflow standalone", process=process, name="standalone", limit=HEALTHY_WITHIN
        )


def tuned(connection: psycopg.Connection) -> list[str]:
    """Return those of `TUNED` that are not as Postgres comes."""
    query = "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting <> boot_val"
    return [name for (name,) in connection.execute(query, [list(TUNED)])]


Side = Ours | Stock


def call(side: Side, *argv: str, cwd: Path | None = None) -> None:
    """Run a command of this side, as a person would type it, to its end.

    Raises
    ------
    CourseError
        When it fails.
    """
    done = subprocess.run(
        argv, env=side.environment, cwd=cwd or side.ground.project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise CourseError(f"`{' '.join(argv)}` ended with code {done.returncode}:\n{said[-2000:]}")
