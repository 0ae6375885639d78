"""The warehouse as a witness: what stands in a student's tables.

Contract: `snapshot` reads `raw_trips` and `fct_trips` of one schema in one transaction and describes each: how
many rows, how many of each month of pickup, and a digest of the content that does not depend on row order.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

TABLES = ("raw_trips", "fct_trips")

Snapshot = dict[str, dict[str, Any] | None]
"""For each table `{"rows", "months": {"YYYY-MM": rows}, "digest"}`, or None where there is no such table."""


def snapshot(connection: psycopg.Connection, schema: str) -> Snapshot:
    """Describe the tables of `schema` as they stand now."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return {table: _describe(connection, schema, table) for table in TABLES}


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
        by_month = sql.SQL("SELECT coalesce(to_char({}, 'YYYY-MM'), 'none'), count(*) FROM {} GROUP BY 1 ORDER BY 1")
        months = dict(connection.execute(by_month.format(sql.Identifier(pickups[0]), name)).fetchall())
    return {"rows": rows, "months": months, "digest": digest}


@contextlib.contextmanager
def cut_loads(connection: psycopg.Connection, schema: str, after_rows: int) -> Iterator[None]:
    """Make every load of `raw_trips` lose its connection at its `after_rows`-th row, until the block ends.

    The server ends the connection from inside the load, as a crash or a broken network would. Nothing of it is
    left afterwards, whatever became of the table and its schema meanwhile. Before and after, the database's other
    connections are ended.

    Parameters
    ----------
    connection
        The superuser's, committing each statement.
    schema
        Holds the table.
    after_rows
        How many rows a load gets through, over all its transactions, before the next is its last.
    """
    names = {"table": sql.Identifier(schema, "raw_trips"), "rows": sql.Literal(after_rows)}
    _end_others(connection)
    # In a schema of its own, it is not in the way of what lists or drops the student's, and goes with one statement.
    with connection.transaction():
        for statement in (
            "CREATE SCHEMA course_cut",
            "GRANT USAGE ON SCHEMA course_cut TO PUBLIC",
            # A sequence does not roll back: it counts over transactions and tries.
            "CREATE SEQUENCE course_cut.loaded",
            "GRANT USAGE ON SEQUENCE course_cut.loaded TO PUBLIC",
            "CREATE FUNCTION course_cut.cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('course_cut.loaded') % {rows} = 0 THEN PERFORM pg_terminate_backend(pg_backend_pid());"
            " END IF; RETURN NEW; END $$",
            "CREATE TRIGGER course_cut BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION course_cut.cut()",
        ):
            connection.execute(sql.SQL(statement).format(**names))
    try:
        yield
    finally:
        _end_others(connection)
        connection.execute("DROP SCHEMA course_cut CASCADE")


def _end_others(connection: psycopg.Connection) -> None:
    """End the database's other connections: a task that hangs in a transaction would block its trigger for ever."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid != pg_backend_pid()"
    )
