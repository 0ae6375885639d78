"""The warehouse as a witness: what stands in a student's tables.

Contract: `snapshot` reads `raw_trips` and `fct_trips` of one schema in one transaction and describes each: how
many rows, how many of each month of pickup, and a digest of the content that does not depend on row order. `witness`
lets the database write down who defines tables and views, which `definitions` tells. `cut_loads` makes loads fail.
What these need stands in schemas of their own, out of the way of what lists or drops a student's.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import sql

TABLES = ("raw_trips", "fct_trips")

MOST = 2000
"""Months of a table, or definitions in a scenario, that are told of."""

Snapshot = dict[str, dict[str, Any] | None]
"""For each table `{"rows", "months": {"YYYY-MM": rows}, "digest"}`, or None where there is none that can be read."""


def snapshot(connection: psycopg.Connection, schema: str) -> Snapshot:
    """Describe the tables of `schema` as they stand now."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return {table: _read(connection, schema, table) for table in TABLES}


def _read(connection: psycopg.Connection, schema: str, table: str) -> dict[str, Any] | None:
    """Describe a table, or a view, whose reading may fail or take too long: that is its author's doing."""
    try:
        with connection.transaction():
            return _describe(connection, schema, table)
    except psycopg.Error:
        if connection.closed:
            raise
        return None


def _describe(connection: psycopg.Connection, schema: str, table: str) -> dict[str, Any] | None:
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [schema, table],
    ).fetchall()
    if not columns:
        return None
    name = sql.Identifier(schema, table)
    content = sql.SQL(
        "SELECT count(*), md5(coalesce(string_agg(row_hash, '' ORDER BY row_hash), ''))"
        " FROM (SELECT md5(t::text) AS row_hash FROM {} AS t) AS hashed"
    )
    rows, digest = connection.execute(content.format(name)).fetchone() or (0, "")
    pickups = [
        column for column, kind in columns if "pickup" in column.lower() and kind.startswith(("timestamp", "date"))
    ]
    months: dict[str, int] = {}
    if pickups:
        by_month = sql.SQL(
            "SELECT coalesce(to_char({}, 'YYYY-MM'), 'none'), count(*) FROM {} GROUP BY 1 ORDER BY 1 LIMIT {}"
        )
        asked = by_month.format(sql.Identifier(pickups[0]), name, sql.Literal(MOST))
        months = dict(connection.execute(asked).fetchall())
    return {"rows": rows, "months": months, "digest": digest}


def witness(connection: psycopg.Connection) -> None:
    """Write down from now on, in this database, each table or view that is made or renamed."""
    with connection.transaction():
        for statement in (
            "CREATE SCHEMA course_witness",
            "CREATE TABLE course_witness.definitions"
            " (place bigserial, schema text, relation text, command text, application_name text)",
            # As its owner: a student's user may not write there.
            "CREATE FUNCTION course_witness.see() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER"
            " SET search_path = pg_catalog AS $$ BEGIN"
            " INSERT INTO course_witness.definitions (schema, relation, command, application_name)"
            " SELECT n.nspname, c.relname, d.command_tag, current_setting('application_name')"
            " FROM pg_event_trigger_ddl_commands() AS d JOIN pg_class AS c ON c.oid = d.objid"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'v', 'm'); END $$",
            "CREATE EVENT TRIGGER course_witness ON ddl_command_end EXECUTE FUNCTION course_witness.see()",
        ):
            connection.execute(statement)


def definitions(connection: psycopg.Connection, schema: str, after: int = 0) -> list[dict[str, Any]]:
    """Return what `witness` saw of a schema, after place `after`: `place`, relation, command, application_name."""
    rows = connection.execute(
        "SELECT place, relation, command, application_name FROM course_witness.definitions"
        " WHERE schema = %s AND place > %s ORDER BY place LIMIT %s",
        [schema, after, MOST],
    ).fetchall()
    return [dict(zip(("place", "relation", "command", "application_name"), row, strict=True)) for row in rows]


def drop_schemas(connection: psycopg.Connection, *schemas: str) -> None:
    """Drop schemas with all that they hold, and what still works in the database."""
    end_others(connection)
    for schema in schemas:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@contextlib.contextmanager
def cut_loads(connection: psycopg.Connection, after_rows: int) -> Iterator[Callable[[], int | None]]:
    """Make every load lose its connection at its `after_rows`-th row, until the block ends.

    Rows count that are inserted or updated by anyone but dbt, in any table, also in one that is made meanwhile: a
    staging table, or one that takes the other's place. The server ends the connection from inside the load, as a
    crash or a broken network would. Nothing of it is left afterwards, whatever became of the tables meanwhile. Before
    and after, the database's other connections are ended.

    Parameters
    ----------
    connection
        The superuser's, committing each statement.
    after_rows
        How many rows a load gets through, over all its transactions, before the next is its last.

    Yields
    ------
    callable
        Returns at which row a load was cut so far, or None when none was.
    """
    end_others(connection)
    with connection.transaction():
        for statement in _CUT:
            connection.execute(sql.SQL(statement).format(rows=sql.Literal(after_rows)))

    def cut_at() -> int | None:
        rows = connection.execute("SELECT last_value FROM course_cut.loaded WHERE is_called").fetchone()
        return after_rows if rows and rows[0] >= after_rows else None

    try:
        yield cut_at
    finally:
        end_others(connection)
        connection.execute("DROP SCHEMA course_cut CASCADE")


_CUT = (
    "CREATE SCHEMA course_cut",
    # A sequence does not roll back: it counts over transactions and tries.
    "CREATE SEQUENCE course_cut.loaded",
    # What runs in a student's session runs as the owner, by whose names: the student may neither count nor redefine.
    "CREATE FUNCTION course_cut.cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
    " SET search_path = pg_catalog AS $$ BEGIN"
    " IF current_setting('application_name') != 'dbt' AND nextval('course_cut.loaded') % {rows} = 0"
    " THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$",
    # Names differ by table: a partition has its parent's trigger beside its own.
    "CREATE FUNCTION course_cut.watch(relation oid) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format("
    "'CREATE TRIGGER course_cut_%s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION course_cut.cut()',"
    " relation, relation::regclass); END $$",
    "CREATE FUNCTION course_cut.watch_new() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER"
    " SET search_path = pg_catalog AS $$ BEGIN"
    " PERFORM course_cut.watch(d.objid) FROM pg_event_trigger_ddl_commands() AS d"
    " JOIN pg_class AS c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p'); END $$",
    "SELECT course_cut.watch(c.oid) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema$|course_)'",
    # Not for CREATE TABLE AS, which has its rows from tables that are watched.
    "CREATE EVENT TRIGGER course_cut ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
    " EXECUTE FUNCTION course_cut.watch_new()",
)


def end_others(connection: psycopg.Connection) -> None:
    """End the database's other connections: a task that hangs in a transaction would block its trigger for ever."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid != pg_backend_pid()"
    )
