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

    The server ends the connection from inside the load, as a crash or a broken network would.
    """
    names = {
        "table": sql.Identifier(schema, "raw_trips"),
        "function": sql.Identifier(schema, "course_cut"),
        "sequence": sql.Identifier(schema, "course_loaded"),
        # A sequence does not roll back: it counts over transactions and tries.
        "count": sql.Literal(f"{schema}.course_loaded"),
        "rows": sql.Literal(after_rows),
    }
    for statement in (
        "CREATE SEQUENCE {sequence}",
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval({count}) % {rows} = 0 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
        " RETURN NEW; END $$",
        "CREATE TRIGGER course_cut BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
        "GRANT ALL ON SEQUENCE {sequence} TO PUBLIC",
    ):
        connection.execute(sql.SQL(statement).format(**names))
    yield
    # The table may have been replaced meanwhile, and its trigger with it.
    for statement in ("DROP FUNCTION {function} CASCADE", "DROP SEQUENCE {sequence}"):
        connection.execute(sql.SQL(statement).format(**names))
