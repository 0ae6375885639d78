"""The sandbox of one submission: all its namespaces, what it may use, and how it ended.

Contract: while a `Sandbox` is open, a thread looks at its processes, databases and logs from outside. What goes past a
limit is ended at once, with all of it, and `check` then raises `Ended`, which says so. Nothing that a submission says
of itself counts.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psycopg

from autograder.airflow_local.postgres import ADMIN, Postgres
from autograder.airflow_local.session import Session
from autograder.errors import CourseError
from autograder.sandbox.environment import superfluous
from autograder.sandbox.limits import MIB, Limits
from autograder.sandbox.namespaces import Namespaces

Outcome = Literal["student_error", "timeout", "out_of_memory", "tampered"]

LOOKS_EVERY = 0.25
"""Seconds between two looks at processes."""

MOST_BUSY = 6
PATIENCE = 8
"""Looks in a row with more than so many processes at work: then these get what others leave of the CPU."""

SLOWLY = 4
"""Of so many looks one is at databases and logs, too."""


class Ended(CourseError):  # noqa: N818 - it is the submission that has ended
    """A submission was ended: `outcome` is its verdict as a whole."""

    def __init__(self, outcome: Outcome, reason: str, todo: str) -> None:
        super().__init__(reason, todo=todo, exit_code=1)
        self.outcome = outcome
        self.reason = f"{reason} {todo}"


class Sandbox:
    """What one submission runs in; a context.

    Parameters
    ----------
    limits
        What it may use.
    """

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - immutable
        self.limits = limits
        self.ended: Ended | None = None
        self._opened: list[Namespaces] = []
        self._databases: set[str] = set()
        self._postgres: Postgres | None = None
        self._logs: list[Path] = []
        self._busy_looks = 0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look_on, name="sandbox-watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look on.

        Raises
        ------
        CourseError
            When this process's environment has more than a run needs.
        """
        if more := superfluous():
            raise CourseError(f"The environment was not forgotten: {', '.join(sorted(more))}.")
        self._deadline = time.monotonic() + self.limits.seconds
        self._watch.start()
        return self

    def __exit__(self, *_: tuple[type[BaseException], BaseException, TracebackType]) -> None:
        """End all that is inside."""
        self._over.set()
        self._watch.join()
        self.close()

    def open(self, session: Session, name: str, project: Path, **how: Any) -> Namespaces:  # noqa: ANN401
        """Make namespaces for a project; see `Namespaces.open`.

        Raises
        ------
        Ended
            When the submission has been ended already.
        """
        self.check()
        opened = Namespaces.open(session, name, project, limits=self.limits, tampered=self._tampered, **how)
        self._opened.append(opened)
        return opened

    def _tampered(self, command: str) -> None:
        self.end(
            "tampered",
            f"A program of the submission asked the grader itself for `{command}`, which no command in a runbook does.",
            "Take out what speaks to the grader; a runbook needs no more than Airflow's own commands.",
        )

    def close(self) -> None:
        """End what runs in the sandbox; further namespaces may follow."""
        while self._opened:
            self._opened.pop().close()

    def watch_database(self, postgres: Postgres, name: str) -> None:
        """Hold a database to its size."""
        self._postgres = postgres
        self._databases.add(name)

    def watch_logs(self, folder: Path) -> None:
        """Hold what its processes say to its size."""
        self._logs.append(folder)

    def check(self) -> None:
        """Raise `Ended` if the submission was ended."""
        if self.ended:
            raise self.ended

    def end(self, outcome: Outcome, reason: str, todo: str) -> None:
        """End the submission, for a reason that its author can act on."""
        if self.ended is None:
            self.ended = Ended(outcome, reason, todo)
        for one in list(self._opened):
            one.end()

    def _look_on(self) -> None:
        looks = 0
        with contextlib.ExitStack() as stack:
            connection: psycopg.Connection | None = None
            while not self._over.wait(LOOKS_EVERY):
                looks += 1
                if self.ended is None and time.monotonic() > self._deadline:
                    self.end(
                        "timeout",
                        f"The submission did not end within {self.limits.seconds:.0f} seconds.",
                        "Look for a loop that does not end, a wait without a limit, or work that grows with each run.",
                    )
                self._look_at_processes()
                if looks % SLOWLY == 0:
                    self._look_at_files()
                    self._look_at_logs()
                    if self._databases and connection is None and self._postgres:
                        with contextlib.suppress(psycopg.Error):
                            connection = stack.enter_context(self._postgres.connect(ADMIN))
                    if connection:
                        self._look_at_databases(connection)

    def _look_at_processes(self) -> None:
        inside = members([one.pid for one in self._opened])
        busy = [pid for pid in inside if _is_busy(pid)]
        self._busy_looks = self._busy_looks + 1 if len(busy) > MOST_BUSY else 0
        if self._busy_looks >= PATIENCE:
            for pid in busy:
                with contextlib.suppress(OSError):
                    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        if len(inside) > self.limits.processes:
            self.end(
                "student_error",
                f"The submission had more than {self.limits.processes} processes at once.",
                "Start fewer: a task needs one, dbt a few.",
            )
        # What is shared with our own processes counts in each one's: looked at closely only when that is too much.
        if sum(map(_resident, inside)) > self.limits.memory_mb * MIB:
            used = sum(map(_proportional, inside))
            if used > self.limits.memory_mb * MIB:
                self.end(
                    "out_of_memory",
                    f"The submission used {used // MIB} MiB of memory; {self.limits.memory_mb} MiB are allowed.",
                    "Work on one month at a time, and keep no more of it than you need.",
                )

    def _look_at_files(self) -> None:
        if any(one.files_made() > self.limits.files_made for one in list(self._opened)):
            self.end(
                "student_error",
                f"The submission made more than {self.limits.files_made} files in one place.",
                "Write what belongs together to one file, and remove what you need no more.",
            )

    def _look_at_logs(self) -> None:
        size = sum(_size(folder) for folder in self._logs)
        if size > self.limits.logs_mb * MIB:
            self.end(
                "student_error",
                f"The submission wrote {size // MIB} MiB of logs; {self.limits.logs_mb} MiB are allowed.",
                "Print what one needs to understand a run, and not the data.",
            )

    def _look_at_databases(self, connection: psycopg.Connection) -> None:
        names = list(self._databases)
        with contextlib.suppress(psycopg.Error):
            sizes = connection.execute(
                "SELECT coalesce(max(pg_database_size(oid)), 0) FROM pg_database WHERE datname = ANY(%s)", [names]
            ).fetchone()
            if sizes and sizes[0] > self.limits.database_mb * MIB:
                self.end(
                    "student_error",
                    f"The warehouse grew to {sizes[0] // MIB} MiB; {self.limits.database_mb} MiB are allowed.",
                    "Seven months need less than 20 MiB: look for a load that repeats its rows.",
                )
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", [names]
                )


def members(holders: Iterable[int]) -> list[int]:
    """Return the processes that are in the same process namespaces as these, these among them."""
    wanted = set()
    for holder in holders:
        with contextlib.suppress(OSError):
            wanted.add(os.stat(f"/proc/{holder}/ns/pid").st_ino)  # noqa: PTH116 - done often
    found = []
    for name in os.listdir("/proc") if wanted else ():  # noqa: PTH208
        if name.isdecimal():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}/ns/pid").st_ino in wanted:  # noqa: PTH116
                    found.append(int(name))
    return found


def _is_busy(pid: int) -> bool:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"R"
    return False


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
