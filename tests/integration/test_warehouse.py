"""Does the warehouse's witness describe the tables as they are, and does a cut load really lose its connection?"""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.observe.warehouse import cut_loads, definitions, snapshot, witness
from autograder.paths import STATE

pytestmark = pytest.mark.integration

SCHEMA = "airflow_ada"
AFTER = 150
"""The row at which a load is cut, as in a graded run."""

CREATE = 'CREATE TABLE airflow_ada.raw_trips ("VendorID" integer, lpep_pickup_datetime timestamp, fare numeric(10, 2))'
INSERT = "INSERT INTO airflow_ada.raw_trips VALUES (%s, %s, %s)"

Row = tuple[int, str | None, float]
Load = Callable[[psycopg.Connection, list[Row]], None]


@pytest.fixture
def admin(warehouse_postgres: Postgres) -> Iterator[psycopg.Connection]:
    """The checker's connection, with an empty raw_trips of the student's."""
    with warehouse_postgres.connect(WAREHOUSE) as connection:
        connection.execute("CREATE SCHEMA airflow_ada AUTHORIZATION warehouse")
        connection.execute("SET ROLE warehouse")
        connection.execute(CREATE)
        connection.execute("RESET ROLE")
        yield connection
        connection.execute("DROP SCHEMA IF EXISTS airflow_ada CASCADE")


@pytest.fixture
def student(warehouse_postgres: Postgres, admin: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection as DAGs have it: the warehouse's owner, who commits."""
    connection = psycopg.connect(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE))
    yield connection
    connection.close()


def trips(count: int, month: str = "2024-01") -> list[Row]:
    return [(number % 2, f"{month}-{1 + number % 28:02} 12:00:00", number / 4) for number in range(count)]


def insert(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load as one statement."""
    values = sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row))) for row in rows)
    connection.execute(sql.SQL("INSERT INTO airflow_ada.raw_trips VALUES {}").format(values))


def executemany(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load a row at a time."""
    connection.cursor().executemany(INSERT, rows)


def copy(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load as a stream."""
    with connection.cursor().copy("COPY airflow_ada.raw_trips FROM STDIN") as into:
        for row in rows:
            into.write_row(row)


def insert_select(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load into a table beside it first."""
    connection.execute("CREATE TABLE airflow_ada.staged (LIKE airflow_ada.raw_trips)")
    with connection.cursor().copy("COPY airflow_ada.staged FROM STDIN") as into:
        for row in rows:
            into.write_row(row)
    connection.execute("INSERT INTO airflow_ada.raw_trips SELECT * FROM airflow_ada.staged")


def temporary(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load into a table that only this session sees."""
    connection.execute("CREATE TEMP TABLE staged (LIKE airflow_ada.raw_trips) ON COMMIT DROP")
    with connection.cursor().copy("COPY staged FROM STDIN") as into:
        for row in rows:
            into.write_row(row)
    connection.execute("INSERT INTO airflow_ada.raw_trips SELECT * FROM staged")


def swap(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load into a new table, and put it in the other's place."""
    connection.execute("CREATE TABLE airflow_ada.raw_new (LIKE airflow_ada.raw_trips)")
    connection.execute("INSERT INTO airflow_ada.raw_new SELECT * FROM airflow_ada.raw_trips")
    connection.cursor().executemany(INSERT.replace("raw_trips", "raw_new"), rows)
    connection.execute("DROP TABLE airflow_ada.raw_trips")
    connection.execute("ALTER TABLE airflow_ada.raw_new RENAME TO raw_trips")


def merge(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load a row at a time, each in place of one that is there."""
    connection.cursor().executemany(
        "MERGE INTO airflow_ada.raw_trips AS t USING (VALUES (%s::int, %s::timestamp, %s::numeric)) AS s (v, p, f)"
        " ON t.lpep_pickup_datetime = s.p AND t.fare = s.f WHEN MATCHED THEN UPDATE SET fare = s.f"
        ' WHEN NOT MATCHED THEN INSERT ("VendorID", lpep_pickup_datetime, fare) VALUES (s.v, s.p, s.f)',
        rows,
    )


def partition(connection: psycopg.Connection, rows: list[Row]) -> None:
    """Load into a partition that is made for the month, of a table that is made anew."""
    connection.execute("CREATE TABLE airflow_ada.parted (LIKE airflow_ada.raw_trips) PARTITION BY RANGE (fare)")
    connection.execute("CREATE TABLE airflow_ada.first PARTITION OF airflow_ada.parted FOR VALUES FROM (0) TO (10)")
    connection.execute("CREATE TABLE airflow_ada.second (LIKE airflow_ada.raw_trips)")
    connection.execute(
        "ALTER TABLE airflow_ada.parted ATTACH PARTITION airflow_ada.second FOR VALUES FROM (10) TO (999)"
    )
    with connection.cursor().copy("COPY airflow_ada.parted FROM STDIN") as into:
        for row in rows:
            into.write_row(row)


LOADS = [insert, executemany, copy, insert_select, temporary, swap, merge, partition]


def rows_in(connection: psycopg.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM airflow_ada.raw_trips").fetchone() or (0,)
    return int(count)


def left_behind(connection: psycopg.Connection) -> set[str]:
    """Return what there is in the database beside Postgres's own and the student's tables."""
    query = """
        SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
        UNION ALL SELECT relname FROM pg_class WHERE relnamespace >= 16384 AND relkind = 'S'
        UNION ALL SELECT proname FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT tgname FROM pg_trigger WHERE oid >= 16384
    """
    return {name for (name,) in connection.execute(query)} - {SCHEMA}


def test_the_clones_own_template_is_not_touched(warehouse_postgres: Postgres) -> None:
    with warehouse_postgres.connect(WAREHOUSE) as connection:
        (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    assert not Path(data).is_relative_to(STATE)
    assert (Path(data).parents[2] / "cache").is_dir(), "the template is kept beside the session's folder"


def test_a_schema_without_tables_is_described_as_such(admin: psycopg.Connection) -> None:
    assert snapshot(admin, "airflow_nobody") == {"raw_trips": None, "fct_trips": None}


def test_rows_are_counted_by_month_of_pickup(admin: psycopg.Connection, student: psycopg.Connection) -> None:
    copy(student, [*trips(3), *trips(2, "2023-12"), (1, None, 1.0)])
    student.execute("CREATE TABLE airflow_ada.fct_trips AS SELECT date '2024-02-01' AS pickup_month")
    student.commit()
    seen = snapshot(admin, SCHEMA)
    assert seen["raw_trips"] is not None
    assert seen["fct_trips"] is not None
    assert seen["raw_trips"]["rows"] == 6
    assert seen["raw_trips"]["months"] == {"2023-12": 2, "2024-01": 3, "none": 1}
    assert (seen["fct_trips"]["rows"], seen["fct_trips"]["months"]) == (1, {"2024-02": 1})


def test_a_table_without_a_column_of_pickups_has_no_months(
    admin: psycopg.Connection, student: psycopg.Connection
) -> None:
    student.execute("CREATE TABLE airflow_ada.fct_trips AS SELECT 1 AS pickups, 'x' AS pickup_month")
    student.commit()
    table = snapshot(admin, SCHEMA)["fct_trips"]
    assert table is not None
    assert (table["rows"], table["months"]) == (1, {})


def digest_of(admin: psycopg.Connection, student: psycopg.Connection, rows: list[Row]) -> str:
    student.execute("TRUNCATE airflow_ada.raw_trips")
    copy(student, rows)
    student.commit()
    table = snapshot(admin, SCHEMA)["raw_trips"]
    assert table is not None
    return str(table["digest"])


def test_the_digest_is_of_the_content_and_not_of_its_order(
    admin: psycopg.Connection, student: psycopg.Connection
) -> None:
    rows = trips(20)
    digest = digest_of(admin, student, rows)
    assert digest_of(admin, student, rows[::-1]) == digest


@pytest.mark.parametrize(
    "other",
    [
        [*trips(19), (1, "2024-01-20 12:00:00", 4.76)],
        [*trips(19), (1, "2024-01-20 12:00:01", 4.75)],
        [*trips(20), trips(1)[0]],
        trips(19),
        [],
    ],
    ids=["a cent", "a second", "a duplicate", "a row fewer", "no row"],
)
def test_any_other_content_has_another_digest(
    admin: psycopg.Connection, student: psycopg.Connection, other: list[Row]
) -> None:
    assert digest_of(admin, student, other) != digest_of(admin, student, trips(20))


@pytest.mark.parametrize("load", LOADS)
def test_a_load_loses_its_connection_half_way(
    admin: psycopg.Connection, student: psycopg.Connection, load: Load
) -> None:
    copy(student, trips(10, "2024-02"))
    student.commit()
    with cut_loads(admin, AFTER):
        with pytest.raises(psycopg.OperationalError):
            load(student, trips(2 * AFTER))
        assert student.closed
        assert rows_in(admin) == 10
    assert left_behind(admin) == set()


def test_what_dbt_loads_is_not_cut(warehouse_postgres: Postgres, admin: psycopg.Connection) -> None:
    with cut_loads(admin, AFTER) as cut_at:
        with psycopg.connect(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE), application_name="dbt") as connection:
            copy(connection, trips(2 * AFTER))
        assert cut_at() is None
    assert rows_in(admin) == 2 * AFTER


def test_it_is_written_down_who_defines_tables_and_views(
    warehouse_postgres: Postgres, admin: psycopg.Connection
) -> None:
    witness(admin)
    try:
        with psycopg.connect(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE), application_name="dbt") as connection:
            connection.execute("CREATE VIEW airflow_ada.stg AS SELECT 1 AS one")
            connection.execute("CREATE TABLE airflow_ada.fct__tmp AS SELECT * FROM airflow_ada.stg")
            connection.execute("ALTER TABLE airflow_ada.fct__tmp RENAME TO fct")
            connection.execute("CREATE TEMP TABLE elsewhere (one integer)")
        with psycopg.connect(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE)) as connection:
            connection.execute("CREATE TABLE airflow_ada.gone (one integer)")
            connection.rollback()
        seen = definitions(admin, SCHEMA)
        assert [(one["relation"], one["command"], one["application_name"]) for one in seen] == [
            ("stg", "CREATE VIEW", "dbt"),
            ("fct__tmp", "CREATE TABLE AS", "dbt"),
            ("fct", "ALTER TABLE", "dbt"),
        ]
        assert definitions(admin, SCHEMA, seen[0]["place"]) == seen[1:]
    finally:
        admin.execute("DROP SCHEMA course_witness CASCADE")
    assert left_behind(admin) == set()


def load_committing_each_row(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for row in trips(2 * AFTER):
            connection.execute(INSERT, row)


def test_it_is_cut_at_the_row_that_was_asked_for(warehouse_postgres: Postgres, admin: psycopg.Connection) -> None:
    """Each try, whatever it commits on the way, is cut there again."""
    with cut_loads(admin, AFTER):
        for attempt in (1, 2):
            with pytest.raises(psycopg.OperationalError):
                load_committing_each_row(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE))
            assert rows_in(admin) == attempt * (AFTER - 1)


def test_afterwards_loads_are_whole_again(warehouse_postgres: Postgres, admin: psycopg.Connection) -> None:
    with cut_loads(admin, AFTER):
        pass
    load_committing_each_row(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE))
    assert rows_in(admin) == 2 * AFTER
    assert left_behind(admin) == set()


def test_a_task_that_hangs_in_a_transaction_is_not_waited_for(
    warehouse_postgres: Postgres, admin: psycopg.Connection, student: psycopg.Connection
) -> None:
    admin.execute("SET lock_timeout = '10s'")  # to fail rather than to wait for ever
    student.execute(INSERT, trips(1)[0])
    with cut_loads(admin, AFTER):
        another = psycopg.connect(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE))
        another.execute(INSERT, trips(1)[0])
    assert left_behind(admin) == set()
    for connection in (student, another):
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


@pytest.mark.parametrize(
    "meanwhile",
    [
        ["DROP TABLE airflow_ada.raw_trips", CREATE],
        ["DROP TABLE airflow_ada.raw_trips"],
        ["DROP SCHEMA airflow_ada CASCADE"],
        ["DROP SCHEMA airflow_ada CASCADE", "CREATE SCHEMA airflow_ada", CREATE],
    ],
    ids=["table made again", "table dropped", "schema dropped", "schema made again"],
)
def test_nothing_is_left_whatever_becomes_of_the_table(admin: psycopg.Connection, meanwhile: list[str]) -> None:
    with cut_loads(admin, AFTER):
        for statement in meanwhile:
            admin.execute(statement.encode())
    assert left_behind(admin) == set()


def test_nothing_is_left_when_the_block_raises(admin: psycopg.Connection) -> None:
    with pytest.raises(RuntimeError, match="not ours"), cut_loads(admin, AFTER):
        raise RuntimeError("not ours")
    assert left_behind(admin) == set()


def test_without_a_table_nothing_is_cut_until_there_is_one(
    warehouse_postgres: Postgres, admin: psycopg.Connection
) -> None:
    admin.execute("DROP TABLE airflow_ada.raw_trips")
    with cut_loads(admin, AFTER) as cut_at:
        assert cut_at() is None
        admin.execute(CREATE)
        admin.execute("ALTER TABLE airflow_ada.raw_trips OWNER TO warehouse")
        with pytest.raises(psycopg.OperationalError):
            load_committing_each_row(warehouse_postgres.uri(WAREHOUSE, user=WAREHOUSE))
        assert cut_at() == AFTER
    assert left_behind(admin) == set()
