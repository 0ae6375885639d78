"""The sandbox of one submission: all its namespaces, what it may use, and how it ended.

Contract: while a `Sandbox` is open, a thread looks at its processes, databases and logs from outside. What goes past a
limit is ended at once, with all of it, and `check` then raises `Ended`, which says so. Nothing that a submission says
of itself counts.
"""

import contextlib
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autograder.airflow_local.postgres import Postgres
from autograder.airflow_local.session import Session
from autograder.errors import CourseError
from autograder.sandbox.databases import Databases, reading
from autograder.sandbox.ended import Ended, Outcome
from autograder.sandbox.environment import superfluous
from autograder.sandbox.limits import MIB, Limits
from autograder.sandbox.namespaces import Namespaces
from autograder.sandbox.processes import is_busy, members, proportional, resident

LOOKS_EVERY = 0.25
"""Seconds between two looks at processes."""

MOST_BUSY = 6
PATIENCE = 8
"""Looks in a row with more than so many processes at work: then these get what others leave of the CPU."""

SLOWLY = 4
"""Of so many looks one is at databases and logs, too."""


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
        self._databases = Databases()
        self._failed: Exception | None = None
        self._logs: list[Path] = []
        self._witnessed: list[Path] = []
        self._busy_looks = 0
        self._in_files = 0
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
        """Hold a database to its size, and who works in it to what they may use."""
        self._databases.add(postgres, name)

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which tables are read for us: who ends that from within is ended."""
        return reading(self.end)

    def watch_logs(self, *paths: Path) -> None:
        """Hold what its processes say to its size: files, or folders of them."""
        self._logs += paths

    def watch_witnessed(self, *paths: Path) -> None:
        """Hold what servers outside write down of it to its size: files, or folders of them."""
        self._witnessed += paths

    def check(self) -> None:
        """Raise `Ended` if the submission was ended.

        Raises
        ------
        CourseError
            When nobody looks on any more: a fault of ours.
        """
        if self.ended:
            raise self.ended
        if self._failed:
            raise CourseError(f"The watch over the sandbox failed: {self._failed!r}.") from self._failed

    def end(self, outcome: Outcome, reason: str, todo: str) -> None:
        """End the submission, for a reason that its author can act on."""
        if self.ended is None:
            self.ended = Ended(outcome, reason, todo)
        self._end_all()

    def _end_all(self) -> None:
        for one in list(self._opened):
            one.end()

    def _look_on(self) -> None:
        try:
            looks = 0
            while not self._over.wait(LOOKS_EVERY):
                looks += 1
                self._look(slowly=looks % SLOWLY == 0)
        except Exception as error:  # nothing would hold it to its limits any more
            self._failed = error
            self._end_all()
        finally:
            self._databases.close()

    def _look(self, *, slowly: bool) -> None:
        if self.ended is None and time.monotonic() > self._deadline:
            self.end(
                "timeout",
                f"The submission did not end within {self.limits.seconds:.0f} seconds.",
                "Look for a loop that does not end, a wait without a limit, or work that grows with each run.",
            )
        self._look_at_processes()
        if slowly:
            self._look_at_files()
            self._look_at_logs()
            self._databases.look(self.limits, self.end, over=self.ended is not None)

    def _look_at_processes(self) -> None:
        inside = members([one.pid for one in self._opened])
        busy = [pid for pid in inside if is_busy(pid)]
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
        if sum(map(resident, inside)) + self._in_files > self.limits.memory_mb * MIB:
            used = sum(map(proportional, inside)) + self._in_files
            if used > self.limits.memory_mb * MIB:
                self.end(
                    "out_of_memory",
                    f"The submission used {used // MIB} MiB of memory; {self.limits.memory_mb} MiB are allowed.",
                    "Work on one month at a time, and keep no more of it than you need.",
                )

    def _look_at_files(self) -> None:
        places = [place for one in list(self._opened) for place in one.written()]
        self._in_files = sum(size for _, size in places)
        if any(files > self.limits.files_made for files, _ in places):
            self.end(
                "student_error",
                f"The submission made more than {self.limits.files_made} files in one place.",
                "Write what belongs together to one file, and remove what you need no more.",
            )

    def _look_at_logs(self) -> None:
        size = sum(map(_size, self._logs))
        if size > self.limits.logs_mb * MIB:
            self.end(
                "student_error",
                f"The submission wrote {size // MIB} MiB of logs; {self.limits.logs_mb} MiB are allowed.",
                "Print what one needs to understand a run, and not the data.",
            )
        if sum(map(_size, self._witnessed)) > self.limits.witnessed_mb * MIB:
            self.end(
                "student_error",
                "The submission asked the source, or sent notifications, so often that "
                f"{self.limits.witnessed_mb} MiB were not enough to write it down.",
                "Fetch each file once, and tell once of each run that failed.",
            )


def _size(place: Path) -> int:
    total = 0
    for path in [place, *place.rglob("*")]:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
