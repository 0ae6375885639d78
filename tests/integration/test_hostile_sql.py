"""What a student's SQL tries, as the user of a sandbox; and as one who may do all, as the control."""

import socket
import struct
from collections.abc import Callable, Iterator

import psycopg
import pytest

from autograder.airflow_local.postgres import ADMIN, LOOKER, Postgres
from autograder.observe import warehouse

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
    "a path of names": (
        f"CREATE TABLE {SCHEMA}.raw_trips AS SELECT now()::timestamp AS pickup_at",
        f"CREATE FUNCTION {SCHEMA}.to_char(one timestamp, two text) RETURNS text LANGUAGE sql"
        f" AS $$ SELECT {SCHEMA}.seize()::text $$",
        f"ALTER DATABASE {DATABASE} SET search_path = {SCHEMA}, pg_catalog",
    ),
}  # fmt: skip
"""What makes whoever reads the table run code of its owner's."""

FORBIDDEN = {
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "read a file": "SELECT pg_read_file('postgresql.conf')",
    "load a file": "SELECT lo_import('/etc/passwd')",
    "list a folder": "SELECT pg_ls_dir('.')",
    "write a file": "COPY (SELECT 1) TO '/tmp/course-attack'",
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
    "log elsewhere": "SET log_statement = 'all'",
    "change the server": "ALTER SYSTEM SET fsync = on",
    "load a library": "LOAD 'plpgsql'",
    "use an untrusted language": "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'getpid'",
    "drop another's database": "DROP DATABASE grace",
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
    with database.connect(DATABASE, search_path="pg_catalog") as connection:
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


HARMLESS = {"read a file", "list a folder", "skip the witness", "skip triggers", "read what the witness saw",
            "count loads that are cut", "be another student", "raise the limit on temporary files", "log elsewhere",
            "forge what the witness saw", "run a program", "load a library"}  # fmt: skip


@pytest.mark.parametrize("what", sorted(HARMLESS))
def test_the_administrator_may(what: str, as_student: psycopg.Connection, database: Postgres) -> None:
    with database.connect(DATABASE) as connection:
        connection.execute(FORBIDDEN[what])


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
