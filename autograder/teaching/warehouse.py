"""What stands in the warehouse, as tables.

Contract: each function opens a connection of its own to the warehouse of the connection `azure_pg`, and reads.
"""

import os
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql


def query(statement: str, *values: Any) -> pd.DataFrame:  # noqa: ANN401  what Postgres takes
    """Return what a query answers; `{schema}` in it stands for the student's schema.

    Parameters
    ----------
    statement
        SQL, with `%s` for each value.
    values
        The values.
    """
    schema = sql.Identifier(student_schema()).as_string(None)
    with psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"]) as connection:
        answer = connection.execute(statement.replace("{schema}", schema).encode(), values or None)
        return pd.DataFrame(answer.fetchall(), columns=[column.name for column in answer.description or ()])


def rows_per_month() -> pd.DataFrame:
    """Return how many trips of each month the warehouse holds: month, raw_trips, fct_trips."""
    schema = student_schema()
    dates = {"raw_trips": "lpep_pickup_datetime", "fct_trips": "pickup_month"}
    counts: dict[str, dict[str, int]] = {}
    with psycopg.connect(os.environ["AIRFLOW_CONN_AZURE_PG"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
        for table, date in dates.items():
            query = sql.SQL("SELECT to_char({}, 'YYYY-MM'), count(*) FROM {} GROUP BY 1").format(
                sql.Identifier(date), sql.Identifier(schema, table)
            )
            counts[table] = dict(connection.execute(query).fetchall()) if (table,) in tables else {}
    months = sorted({month for of_table in counts.values() for month in of_table})
    columns = {table: [of_table.get(month, 0) for month in months] for table, of_table in counts.items()}
    return pd.DataFrame({"month": months, **columns})


def student_schema() -> str:
    """Return the schema that this notebook's student writes to."""
    return f"airflow_{os.environ.get('AIRFLOW_STUDENT', 'default')}"
