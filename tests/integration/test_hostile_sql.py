"""What a student's SQL tries, as the user of a sandbox; and as one who may do all, as the control."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from autograder.airflow_local.postgres import ADMIN, LOOKER, Postgres
from autograder.observe import warehouse
from autograder.sandbox import Limits, databases
from autograder.sandbox.databases import Databases, reading

USER, OTHER, DATABASE, SCHEMA = "warehouse_mallory", "warehouse_grace", "mallory", "airflow_mallory"

ESCALATE = (
    f"CREATE SCHEMA {SCHEMA}",
    # What is to run as somebody who may: to become a superuser.
    f"CREATE FUNCTION {SCHEMA}.seize() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN"
    f" EXECUTE 'ALTER ROLE {USER} SUPERUSER'; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 0; END $$",
)

TRAPS = {
    "a view": (
        f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT now()::timestamp AS pickup_at, {SCHEMA}.seize() AS one",
    ),
    "a cast of the rows": (
        f"CREATE TABLE {SCHEMA}.raw_trips AS SELECT now()::timestamp AS pickup_at",
        f"CREATE FUNCTION {SCHEMA}.text(one {SCHEMA}.raw_trips) RETURNS text LANGUAGE sql"
        f" AS $$ SELECT {SCHEMA}.seize()::text $$",
        f"CREATE CAST ({SCHEMA}.raw_trips AS text) WITH FUNCTION {SCHEMA}.text({SCHEMA}.raw_trips)",
    ),
    "a better fit": (
        f"CREATE TABLE {SCHEMA}.raw_trips AS SELECT current_date AS pickup_at",
        "CREATE FUNCTION public.to_char(one date, two text) RETURNS text LANGUAGE sql"
        f" AS $$ SELECT {SCHEMA}.seize()::text $$",
    ),
}  # fmt: skip
"""What makes whoever reads the table run code of its owner's."""

FORBIDDEN = {
    "run a program": "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'",
    "read a file": "SELECT pg_read_file('postgresql.conf')",
    "load a file": "SELECT lo_import('/etc/passwd')",
    "list a folder": "SELECT pg_ls_dir('.')",
    "write a file": "COPY (SELECT 1) TO '/dev/null'",
    "make an event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION course_witness.see()",
    "turn off the witness": "ALTER EVENT TRIGGER course_witness DISABLE",
    "drop the witness": "DROP SCHEMA course_witness CASCADE",
    "skip the witness": "SET event_triggers = off",
    "skip triggers": "SET session_replication_role = replica",
    "forge what the witness saw": "INSERT INTO course_witness.definitions (schema) VALUES ('airflow_mallory')",
    "read what the witness saw": "SELECT * FROM course_witness.definitions",
    "count loads that are cut": "SELECT nextval('course_cut.loaded')",
    "make a role": "CREATE ROLE accomplice",
    "make a database": "CREATE DATABASE accomplice",
    "be the superuser": "SET ROLE postgres",
    "be another student": f"SET ROLE {OTHER}",
    "raise the limit on temporary files": "SET temp_file_limit = -1",
    "log all that it does": "SET log_statement = 'all'",
    "log all that it says": "SET log_min_messages = 'debug5'",
    "change the server": "ALTER SYSTEM SET fsync = on",
    "load a library": "LOAD 'plpgsql'",
    "use an untrusted language": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'"
    ),
    "drop another's database": "DROP DATABASE grace",
    "drop its own database": f"DROP DATABASE {DATABASE} WITH (FORCE)",
    "keep the observer out of its own database": f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false",
    "have the observer write nothing": f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on",
    "have the observer see nothing": f"ALTER DATABASE {DATABASE} SET statement_timeout = 1",
}
"""What a student's user may not do, and the administrator may: each is done by both."""

UNDONE = {
    "make a role": "DROP ROLE accomplice",
    "make a database": "DROP DATABASE accomplice",
    "change the server": "ALTER SYSTEM RESET fsync",
}


@pytest.fixture(scope="module")
def database(warehouse_postgres: Postgres) -> Iterator[Postgres]:
    for user, name in ((USER, DATABASE), (OTHER, "grace")):
        warehouse_postgres.create_confined_user(user)
        warehouse_postgres.create_database(name, owner=user)
    yield warehouse_postgres
    for user, name in ((USER, DATABASE), (OTHER, "grace")):
        warehouse_postgres.drop_database(name)
        warehouse_postgres.drop_confined_user(user)


@pytest.fixture
def as_student(database: Postgres) -> Iterator[psycopg.Connection]:
    """Give a connection of the student's, to a database with the witness in it and a load that is being cut."""
    database.drop_database(DATABASE)
    database.create_database(DATABASE, owner=USER)
    with (
        contextlib.suppress(psycopg.OperationalError),  # of a database that a test has dropped
        database.connect(DATABASE, search_path="pg_catalog") as connection,
    ):
        warehouse.witness(connection)
        with warehouse.cut_loads(connection, 150), database.connect(DATABASE, user=USER) as student:
            yield student


def is_superuser(database: Postgres, user: str = USER) -> bool:
    with database.connect(ADMIN) as connection:
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [user]).fetchone()
        connection.execute(f"ALTER ROLE {user} NOSUPERUSER")  # for the next
    return bool(row and row[0])


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_student_may_not(what: str, as_student: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as refused:
        as_student.execute(FORBIDDEN[what])
    assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege), refused.value


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_administrator_may(what: str, as_student: psycopg.Connection, database: Postgres) -> None:
    as_student.close()
    whole = f"DATABASE {DATABASE}" in FORBIDDEN[what]  # from outside of it
    with database.connect(ADMIN if whole else DATABASE) as connection:
        connection.execute(FORBIDDEN[what])
        if what in UNDONE:
            connection.execute(UNDONE[what])
    if not database.has_database("grace"):
        database.create_database("grace", owner=OTHER)


def look(database: Postgres) -> None:
    """Look at the tables as the observer does."""
    with database.connect(DATABASE, user=USER + LOOKER, search_path="pg_catalog") as connection:
        warehouse.snapshot(connection, SCHEMA)


def look_as_the_administrator(database: Postgres) -> None:
    """Look at the tables with all power, in a transaction that may write, with names as they come: the control."""
    with database.connect(DATABASE) as connection:
        connection.execute(f"SELECT md5(t::text), * FROM {SCHEMA}.raw_trips AS t")
        connection.execute(f"SELECT to_char(pickup_at, 'YYYY-MM') FROM {SCHEMA}.raw_trips")


@pytest.mark.parametrize(("looking", "seized"), [(look, False), (look_as_the_administrator, True)])
@pytest.mark.parametrize("trap", TRAPS)
def test_who_looks_at_a_table_runs_nothing_with_power(
    trap: str, looking: Callable[[Postgres], None], seized: bool, as_student: psycopg.Connection, database: Postgres
) -> None:
    for statement in (*ESCALATE, *TRAPS[trap]):
        as_student.execute(statement)
    looking(database)
    assert is_superuser(database) is seized


def test_a_table_that_cannot_be_read_is_none_and_ends_nothing(
    as_student: psycopg.Connection, database: Postgres
) -> None:
    as_student.execute(ESCALATE[0])
    as_student.execute(f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT 1 / 0 AS one")
    as_student.execute(f"CREATE VIEW {SCHEMA}.fct_trips AS SELECT pg_sleep(60)::text")
    with database.connect(
        DATABASE, user=USER + LOOKER, search_path="pg_catalog", statement_timeout="500ms"
    ) as connection:
        assert warehouse.snapshot(connection, SCHEMA) == {"raw_trips": None, "fct_trips": None}


def test_the_functions_of_ours_that_run_in_a_students_session_name_what_they_call(
    as_student: psycopg.Connection, database: Postgres
) -> None:
    for statement in (
        *ESCALATE,
        f"CREATE FUNCTION {SCHEMA}.format(one text, two oid, three regclass) RETURNS text LANGUAGE sql"
        f" AS $$ SELECT {SCHEMA}.seize()::text $$",
        f"CREATE FUNCTION {SCHEMA}.equal(one oid, two oid) RETURNS boolean LANGUAGE sql"
        f" AS $$ SELECT {SCHEMA}.seize() = 1 $$",
        f"CREATE OPERATOR {SCHEMA}.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = {SCHEMA}.equal)",
        f"SET search_path = {SCHEMA}, pg_catalog",
        f"CREATE TABLE {SCHEMA}.raw_trips (one integer)",
    ):
        as_student.execute(statement)
    assert not is_superuser(database)


def test_a_student_cannot_end_the_sessions_of_others(as_student: psycopg.Connection, database: Postgres) -> None:
    with (
        database.connect(DATABASE, user=USER + LOOKER) as looking,
        database.connect("grace", user=OTHER) as another,
        database.connect(DATABASE, user=USER) as own,
    ):
        for victim in (looking, another):  # each of its own user's
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_student.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
        # The control: with the right to, that is how it is done.
        as_student.execute("SELECT pg_terminate_backend(%s, 5000)", [own.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            own.execute("SELECT 1")


@pytest.mark.parametrize("name", ["grace", "postgres", "airflow_template"])
def test_a_student_opens_no_other_database(name: str, as_student: psycopg.Connection, database: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        database.connect(name, user=USER)
    database.connect(name).close()


@pytest.mark.parametrize("user", [ADMIN, "warehouse", USER + LOOKER])
def test_from_a_sandboxs_address_only_its_user_comes_in(user: str, database: Postgres) -> None:
    def first_answer(source: str, name: str) -> bytes:
        """Ask to be let in from an address; return the kind of the answer: R for a question, E for a refusal."""
        body = struct.pack("!I", 196608) + f"user\0{name}\0database\0{DATABASE}\0\0".encode()
        with socket.create_connection(("127.0.0.1", database.port), 5, (source, 0)) as caller:
            caller.sendall(struct.pack("!I", len(body) + 4) + body)
            return caller.recv(1)

    assert first_answer("127.0.0.2", user) == b"E"
    assert first_answer("127.0.0.2", USER) == b"R"
    assert first_answer("127.0.0.1", user) == b"R"


STAYS = {
    "a view that catches its limit": (
        f"CREATE FUNCTION {SCHEMA}.stay() RETURNS text LANGUAGE plpgsql AS $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600);"
        " EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$",
        f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT {SCHEMA}.stay() AS one",
    ),
    "a view that lifts the limit for the next": (
        f"CREATE FUNCTION {SCHEMA}.lift() RETURNS text LANGUAGE sql AS"
        " $$ SELECT set_config('statement_timeout', '0', false) $$",
        f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT {SCHEMA}.lift() AS one",
        f"CREATE VIEW {SCHEMA}.fct_trips AS SELECT pg_sleep(600)::text AS one",
    ),
}


@contextlib.contextmanager
def looking(database: Postgres) -> Iterator[threading.Thread]:
    """Look at tables in a thread, with a limit of 0.3 s, until the block ends."""

    def look() -> None:
        with (
            contextlib.suppress(psycopg.Error),
            database.connect(
                DATABASE, user=USER + LOOKER, search_path="pg_catalog", statement_timeout="300ms"
            ) as connection,
        ):
            warehouse.snapshot(connection, SCHEMA)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        with database.connect(ADMIN) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [USER + LOOKER]
            )
        thread.join(10)


def watch(database: Postgres, limits: Limits, until: Callable[[list[str]], bool], limit: float = 20) -> list[str]:
    """Have a submission's databases looked at until something holds; return how it was ended."""
    ends: list[str] = []
    watched = Databases()
    watched.add(database, DATABASE)
    deadline = time.monotonic() + limit
    while not until(ends) and time.monotonic() < deadline:
        watched.look(limits, lambda *end: ends.append(end[0]), over=bool(ends))
        time.sleep(0.05)
    watched.close()
    return ends


@pytest.mark.parametrize("how", STAYS)
def test_a_look_that_its_limit_does_not_end_is_ended_with_its_submission(
    how: str, as_student: psycopg.Connection, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in (ESCALATE[0], *STAYS[how]):
        as_student.execute(statement)
    with looking(database) as thread:
        # The control: nobody watches, or who watches is patient.
        assert watch(database, Limits(), lambda _: not thread.is_alive(), limit=2) == []
        assert thread.is_alive()
        monkeypatch.setattr(databases, "LOOK_ENDS", 1.0)
        assert set(watch(database, Limits(), lambda _: not thread.is_alive())) == {"student_error"}
        assert not thread.is_alive()


ENDINGS = {
    "ends the session": f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT pg_terminate_backend(pg_backend_pid())::text AS one",
    "gives the transaction a limit": (
        f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT set_config('transaction_timeout', '1', false) || pg_sleep(1) AS one"
    ),
    "gives the session a limit": (
        f"CREATE VIEW {SCHEMA}.raw_trips AS SELECT set_config('idle_in_transaction_session_timeout', '1', false) AS one"
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_who_ends_the_session_that_reads_is_ended(how: str, as_student: psycopg.Connection, database: Postgres) -> None:
    as_student.execute(ESCALATE[0])
    as_student.execute(ENDINGS[how])
    ends: list[str] = []

    def read() -> None:
        with database.connect(DATABASE, user=USER + LOOKER) as connection, connection.transaction():
            connection.execute(f"SELECT * FROM {SCHEMA}.raw_trips")
            time.sleep(0.1)
            connection.execute("SELECT 1")

    with pytest.raises(psycopg.Error), reading(lambda *end: ends.append(end[0])):
        read()
    assert ends == ["student_error"]


def test_a_server_that_crashes_is_nobodys_fault() -> None:
    ends: list[str] = []
    crash = "terminating connection because of crash of another server process"
    with pytest.raises(psycopg.OperationalError), reading(lambda *end: ends.append(end[0])):
        raise psycopg.OperationalError(crash)
    assert ends == []


HOLD = "DO $$ DECLARE held text := repeat('x', 200000000); BEGIN PERFORM pg_sleep(600); END $$"


def test_queries_that_take_much_memory_are_ended(database: Postgres, as_student: psycopg.Connection) -> None:
    def hold() -> None:
        with contextlib.suppress(psycopg.Error):
            as_student.execute(HOLD)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    # The control: in two seconds it has what it takes, and who allows that much leaves it alone.
    assert watch(database, Limits(), lambda _: not thread.is_alive(), limit=2) == []
    assert set(watch(database, Limits(memory_mb=100), lambda _: not thread.is_alive())) == {"out_of_memory"}
    assert not thread.is_alive()


@pytest.mark.parametrize(("queries", "ended"), [(12, {"student_error"}), (2, set())])  # the second is the control
def test_who_keeps_many_queries_at_work_is_ended(
    database: Postgres, as_student: psycopg.Connection, queries: int, ended: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "AT_WORK_S", 2.0)

    def work() -> None:
        with contextlib.suppress(psycopg.Error), database.connect(DATABASE, user=USER) as connection:
            connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(queries)]
    for thread in threads:
        thread.start()
    try:
        ends = watch(database, Limits(), lambda _: not any(one.is_alive() for one in threads), limit=20 if ended else 4)
        assert set(ends) == ended
    finally:
        with database.connect(ADMIN) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [USER])
        for thread in threads:
            thread.join(10)


def test_what_a_student_says_does_not_fill_the_servers_log(database: Postgres, as_student: psycopg.Connection) -> None:
    with database.connect(DATABASE) as connection:
        log = Path(f"/proc/{psutil.Process(connection.info.backend_pid).ppid()}/fd/2").readlink()
        for who, grows in ((as_student, False), (connection, True)):  # the second one is the control
            before = log.stat().st_size
            for statement in (
                "DO $$ BEGIN RAISE LOG '%', repeat('x', 300000); END $$",
                f"SELECT '{'x' * 300_000}'::int",
            ):
                with contextlib.suppress(psycopg.errors.InvalidTextRepresentation):
                    who.execute(statement)
            assert (log.stat().st_size - before > 500_000) is grows


SEND = "SELECT pg_notify('anything', number || repeat('x', 7900)) FROM generate_series(1, %s) AS number"


def test_what_nobody_listens_to_does_not_fill_the_disk(database: Postgres, as_student: psycopg.Connection) -> None:
    with database.connect(DATABASE, user=USER) as idle, idle.transaction():
        idle.execute("LISTEN anything")
        idle.execute("SELECT 1")
    with database.connect(DATABASE, user=USER) as idle:
        idle.execute("LISTEN anything")
        idle.execute("BEGIN")
        idle.execute("SELECT 1")  # it hears nothing while this lasts
        as_student.execute(SEND, [10])
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            as_student.execute(SEND, [1000])  # 8 MB
