"""What a submission does with Postgres, which is ours and works outside of its sandbox.

Contract: `Databases.look` holds its databases to their size, its queries to their memory, and those that read its
tables for us to an end; once it has ended, its sessions are ended as well. `reading` is about a session of ours that
reads its tables, and so runs what it put into views.
"""

import contextlib
import time
from collections.abc import Iterator

import psycopg

from autograder.airflow_local.postgres import ADMIN, LOOKER, Postgres
from autograder.sandbox.ended import End
from autograder.sandbox.limits import MIB, Limits
from autograder.sandbox.processes import is_busy, resident

LOOK_ENDS = 75.0
"""Seconds after which a look at tables has not heeded its own limit: a function that it calls can lift or catch it."""

MOST_AT_WORK = 8
AT_WORK_S = 10.0
"""Seconds with more than so many queries at work at once: they take the CPU of other submissions."""

READABLE = "Make raw_trips and fct_trips tables, or views that only read tables."

_AT_WORK = """
SELECT pid, CASE WHEN usename LIKE %(looker)s AND state = 'active'
    THEN extract(epoch FROM clock_timestamp() - query_start)::float ELSE 0 END
FROM pg_stat_activity WHERE datname = ANY(%(names)s) AND usename != current_user
"""
"""A submission's sessions: each one's process, and for how long it has looked at tables for us."""


class Databases:
    """The databases of one submission."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._postgres: Postgres | None = None
        self._connection: psycopg.Connection | None = None
        self._few_at = time.monotonic()

    def add(self, postgres: Postgres, name: str) -> None:
        """Look at a database, too, which need not be there yet."""
        self._postgres = postgres
        self._names.add(name)

    def look(self, limits: Limits, end: End, *, over: bool) -> None:
        """Look once.

        Parameters
        ----------
        limits
            What it may use.
        end
            Called where that is too little.
        over
            Whether the submission has ended: what waits or works in the server knows nothing of that.
        """
        if self._postgres is None:
            return
        with contextlib.suppress(psycopg.Error):
            if self._connection is None or self._connection.closed:
                self._connection = self._postgres.connect(ADMIN)
            self._hold(self._connection, limits, end)
            if over:
                self._end_sessions(self._connection)

    def close(self) -> None:
        """Look no more."""
        if self._connection:
            self._connection.close()

    def _hold(self, connection: psycopg.Connection, limits: Limits, end: End) -> None:
        names = list(self._names)
        sizes = connection.execute(
            "SELECT coalesce(max(pg_database_size(oid)), 0) FROM pg_database WHERE datname = ANY(%s)", [names]
        ).fetchone()
        if sizes and sizes[0] > limits.database_mb * MIB:
            end(
                "student_error",
                f"A database grew to {sizes[0] // MIB} MiB; {limits.database_mb} MiB are allowed.",
                "Seven months need less than 20 MiB: look for a load that repeats its rows, or passes them on by XCom.",
            )
        at_work = connection.execute(_AT_WORK, {"names": names, "looker": f"%{LOOKER}"}).fetchall()
        used = sum(resident(pid) for pid, _ in at_work)
        if used > limits.memory_mb * MIB:
            end(
                "out_of_memory",
                f"The submission's queries used {used // MIB} MiB of memory; {limits.memory_mb} MiB are allowed.",
                "Work on one month at a time.",
            )
        if sum(is_busy(pid) for pid, _ in at_work) <= MOST_AT_WORK:
            self._few_at = time.monotonic()
        elif time.monotonic() - self._few_at > AT_WORK_S:
            end(
                "student_error",
                f"More than {MOST_AT_WORK} queries were at work at once, for {AT_WORK_S:.0f} seconds.",
                "Give dbt a few threads; a query that works for so long looks at more rows than there are.",
            )
        if any(seconds > LOOK_ENDS for _, seconds in at_work):
            end("student_error", f"Reading the tables did not end within {LOOK_ENDS:.0f} seconds.", READABLE)

    def _end_sessions(self, connection: psycopg.Connection) -> None:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = ANY(%s) AND usename != current_user",
            [list(self._names)],
        )


@contextlib.contextmanager
def reading(end: End) -> Iterator[None]:
    """Have the submission ended where what is read ends the session that reads it, in this block.

    A function in a view can end its session, or give it a time limit. Where the server has crashed, which may be
    another's doing, it says something else.
    """
    try:
        yield
    except psycopg.Error as error:
        if "terminating connection due to" in str(error):
            end("student_error", "Reading the tables ended the session that read them.", READABLE)
        raise
