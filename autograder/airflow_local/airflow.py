"""A running Airflow: scheduler, DAG processor and API server on one metadata database.

Contract: `Airflow` is the settings of one deployment, as an environment; `start` starts its three components,
each by its ordinary command, and returns when the API server reports them healthy. `cli` runs an `airflow`
command against it. Nothing of Airflow is replaced: the settings are Airflow's own, chosen for one person's
machine rather than for a cluster.
"""

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.airflow_api import AirflowApi
from autograder.airflow_local import leaf
from autograder.airflow_local.commands import FOLDER
from autograder.airflow_local.postgres import TEMPLATE_DATABASE, Postgres
from autograder.airflow_local.session import MARK, Session, end_processes, free_port, tail
from autograder.airflow_local.warm_client import SANDBOX
from autograder.errors import CourseError
from autograder.sandbox.gate import Gate
from autograder.sandbox.namespaces import Namespaces

COMPONENTS: Sequence[str] = ("scheduler", "dag-processor", "api-server")
"""Started in this order: all are ready about as soon as the API server, the slowest, answers."""

HEALTHY_WITHIN = 180.0
"""Seconds that a cold start may take."""

COMMAND_LIMIT = 60.0
"""Seconds that a command which a student types may take."""

CLUSTER_POLICY = Path(__file__).parent / "config"
"""Holds airflow_local_settings.py, which Airflow imports by that name, and what settings name."""

TUNING = {
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__EXECUTOR": "course_executor.PromptLocalExecutor",
    "CORE__PARALLELISM": "4",  # the default of 32 forks 32 idle workers
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",  # an edited DAG file counts at once
    "DATABASE__CHECK_MIGRATIONS": "False",  # each command would; the database is made from a migrated template
    "DATABASE__SQL_ALCHEMY_POOL_PRE_PING": "False",  # Postgres lives as long as Airflow: a connection is not lost
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # how late the end of a task may be noticed; 5 by default
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0",  # the executor waits, for what it waits for
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",  # for what a DAG file imports: an edited file counts at once
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "API__HOST": "127.0.0.1",
    "API__WORKERS": "1",
    "METRICS__LEGACY_NAMES_ON": "False",  # each process would read a file of names for them, though none are sent
    "USAGE_DATA_COLLECTION__ENABLED": "False",
}


@dataclass(frozen=True)
class Keys:
    """The secrets that the parts of an Airflow share."""

    jwt: str = field(default_factory=lambda: secrets.token_hex(32))
    fernet: str = field(default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())

    @classmethod
    def kept(cls, path: Path) -> "Keys":
        """Return the keys in a file, which is made when there is none; what they encrypted stays readable."""
        if not path.exists():
            beside = path.with_suffix(".new")
            beside.touch(mode=0o600)
            beside.write_text(json.dumps(vars(cls())))
            beside.rename(path)
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Airflow:
    """The settings of one Airflow.

    Parameters
    ----------
    session
        Owns its processes and files.
    postgres
        Holds its metadata database.
    name
        Tells it from other deployments of the session; its metadata database is called so too.
    dags
        The folder with the DAG files.
    extra
        Environment of its processes beyond Airflow's settings: connections, the student, the source.
    keys
        Its secrets; the same for all of a session, since a warm parent reads them once.
    inside
        Where what a student wrote runs, if not beside the rest.
    """

    session: Session
    postgres: Postgres
    name: str
    dags: Path
    extra: Mapping[str, str]
    keys: Keys
    inside: Namespaces | None = None
    port: int = field(default_factory=free_port)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """The address of the UI and the REST API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        """The AIRFLOW_HOME."""
        return self.session.folder / self.name

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be part of this Airflow."""
        settings = {
            **TUNING,
            "CORE__DAGS_FOLDER": str(self.dags),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__FERNET_KEY": self.keys.fernet,
            "DATABASE__SQL_ALCHEMY_CONN": self.postgres.uri(self.name, driver="postgresql+psycopg2"),
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": self.keys.jwt,
            "API_AUTH__JWT_SECRET": self.keys.jwt,
            "LOGGING__BASE_LOG_FOLDER": str(self.session.logs / self.name),
            "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": "0",
        }
        return {
            "AIRFLOW_HOME": str(self.home),
            "PYTHONPATH": str(CLUSTER_POLICY),
            "COURSE_AIRFLOW": "1",
            "COURSE_AIRFLOW_URL": self.url,
            MARK: self.session.mark(self.home),
            **{f"AIRFLOW__{key}": value for key, value in settings.items()},
            **self.extra,
        }

    def start(self, components: Sequence[str] = COMPONENTS) -> None:
        """Start the components; return when all are healthy.

        Parameters
        ----------
        components
            What to start, the API server last.

        Raises
        ------
        CourseError
            When a component ends or is not healthy in time; it carries the end of its log.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self.make_database()
        for component in components:
            log = f"{self.name}-{component}"
            argv = ["airflow", component, *(["--skip-serve-logs"] if component == "scheduler" else [])]
            process = self.session.start(log, argv, env=self.environment)
            self._processes[component] = process
        parts = {"scheduler": "scheduler", "dag-processor": "dag_processor", "api-server": "metadatabase"}
        api = AirflowApi(self.url)

        def healthy() -> bool:
            try:
                return api.healthy([parts[component] for component in components])
            except CourseError:  # it does not answer yet
                return False

        self.session.wait_until(
            healthy,
            "Airflow's API server", process=process, name=log, limit=HEALTHY_WITHIN,
        )  # fmt: skip
        if self.inside:
            self.inside.wait()

    def make_database(self) -> None:
        """Make its metadata database, if there is none."""
        if not self.postgres.has_database(self.name):
            self.postgres.create_database(self.name, template=TEMPLATE_DATABASE)

    def ended(self, limit: float) -> str | None:
        """Return a component that has ended by itself, or ends within `limit` seconds; None if none does."""
        for component, process in self._processes.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=limit / len(self._processes))
                return component
        return None

    def stop(self) -> None:
        """End its processes, and those that its tasks left."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        end_processes(self.home)

    def popen(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] = {},
        **options: Any,  # noqa: ANN401 - as Popen has them
    ) -> subprocess.Popen[Any]:
        """Start a program of a student's, in this Airflow's environment and its sandbox if it has one.

        Parameters
        ----------
        argv, cwd
            The program and its folder.
        env
            Added to its environment.
        options
            As for `subprocess.Popen`.
        """
        if self.inside:
            self.inside.wait()
            return self.inside.popen(argv, cwd=cwd, env=env, **options)
        return subprocess.Popen(
            argv, cwd=cwd, env=self.session.environment({**self.environment, **env}), start_new_session=True, **options
        )

    @contextlib.contextmanager
    def typing(self) -> Iterator[Mapping[str, str]]:
        """Let commands that a student types ask this Airflow for runs, until the block ends.

        Yields
        ------
        dict
            To be added to the environment in which they are typed.
        """
        if not self.inside:
            yield {}
            return

        def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["airflow", *argv], env=self.session.environment(self.environment), cwd=self.session.folder,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", timeout=COMMAND_LIMIT, check=False,
            )  # fmt: skip

        with Gate(self.inside.gate, self.session.folder / FOLDER / "airflow", run, self.inside.tampered) as gate:
            path = leaf.described(self.extra[SANDBOX])["environment"]["PATH"]
            yield {"PATH": os.pathsep.join([str(gate.folder), path])}

    def put(self, folder: Path) -> None:
        """Let a student's programs find a copy of a folder at its place."""
        if self.inside:
            self.inside.put(folder)

    def written(self, path: Path, limit: int = 10_000_000) -> str:
        """Return the first `limit` bytes of what a student's programs wrote to a file, as text; empty for no file."""
        if self.inside:
            return (self.inside.read(path, limit) or b"").decode(errors="replace")
        return path.read_bytes()[:limit].decode(errors="replace") if path.is_file() else ""

    def cli(self, *args: str, env: Mapping[str, str] = {}, limit: float = 120) -> str:
        """Run `airflow ARG…`, with `env` in addition, and return its standard output.

        Raises
        ------
        CourseError
            When the command fails.
        """
        done = subprocess.run(
            ["airflow", *args], env=self.session.environment({**self.environment, **env}),
            cwd=self.dags.parent,
            capture_output=True, text=True, timeout=limit, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CourseError(
                f"`airflow {' '.join(args)}` ended with code {done.returncode}:\n{done.stderr.strip()[-2000:]}",
                where=str(self.dags),
            )
        return done.stdout


def migrate(session: Session, uri: str) -> None:
    """Create Airflow's tables in an empty database.

    Raises
    ------
    CourseError
        When `airflow db migrate` fails.
    """
    env = {"AIRFLOW_HOME": str(session.folder / "migrate"), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri}
    process = session.start("migrate", [sys.executable, "-m", "airflow", "db", "migrate"], env=env)
    if process.wait():
        log = session.logs / "migrate.log"
        raise CourseError(f"`airflow db migrate` failed. The end of its log:\n{tail(log)}", where=str(log))
