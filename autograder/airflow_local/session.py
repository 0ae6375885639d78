"""One run's folder, processes and clean-up.

Contract: whatever a run starts or writes for its own use belongs to a `Session`. Leaving the session ends
every process that it started, those that daemonised included, and removes its folder. When the process that
opened the session is killed, a keeper that waits on a pipe does the same; when that is killed too, the next
session of the same clone does. Logs are kept, under `.course/logs`.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import psutil

from autograder.errors import CourseError
from autograder.paths import ROOT, STATE

MARK = "COURSE_SESSION"
"""Environment variable that every process of a session carries: the sessions that it is part of, outermost first."""

KEPT_LOGS = 8
"""Sessions whose logs are kept."""

ROOM_MB = 500
"""What a run needs of the disk."""

FULL_MB = 20
"""With less than this a disk is full: Postgres writes its log in files of 16 MB."""


class Session:
    """A folder and a set of processes that end together.

    Use `Session.open()`; `folder` holds what goes away at the end, `logs` what stays.
    """

    def __init__(self, state: Path = STATE) -> None:
        self.name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        self.folder = state / "run" / self.name
        self.logs = state / "logs" / self.name
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    @contextlib.contextmanager
    def open(cls, state: Path = STATE) -> Iterator[Self]:
        """Clean up what earlier sessions left, and open a new one until the block ends.

        Raises
        ------
        CourseError
            When the clone cannot be written.
        """
        clean_stale(state)
        session = cls(state)
        try:
            (session.folder / "tmp").mkdir(parents=True)
            session.logs.mkdir(parents=True)
            lock = _lock(session.folder)
        except OSError as error:
            raise CourseError(
                f"The course cannot write here: {error.strerror}.",
                where=str(state),
                todo="Put the clone where you may write, on a disk with room.",
            ) from error
        _prune(state)
        with lock:
            keeper = subprocess.Popen(
                ["sh", "-c", 'read _; exec "$0" -m autograder.airflow_local.session "$1"', sys.executable,
                 str(session.folder)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True, cwd=ROOT,
            )  # fmt: skip
            try:
                yield session
            except Exception as error:
                _tell_full_disk(state, error)
                raise
            finally:
                end(session.folder)
                for process in session._processes:
                    process.wait()
                clean_stale(state)  # sessions that processes of this one had opened
                keeper.kill()
                keeper.communicate()

    def environment(self, extra: Mapping[str, str] = {}) -> dict[str, str]:
        """Return this process's environment with the session's mark, a TMPDIR that goes with it, and `extra`.

        Whose Airflow it is stands in `extra` or nowhere: a student's AIRFLOW_STUDENT is not passed on.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "AIRFLOW_STUDENT"}
        # setproctitle, which Airflow calls, would write over the mark without SPT_NOENV.
        return {**inherited, MARK: self.mark(), "SPT_NOENV": "1", "TMPDIR": str(self.folder / "tmp"), **extra}

    def mark(self, *parts: Path) -> str:
        """Return the mark of this session's processes, or of those that belong to parts of it as well."""
        outer = filter(None, [os.environ.get(MARK)])
        return ":".join([*outer, str(self.folder), *map(str, parts)])

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] = {},
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own, its output going to `logs/NAME.log`.

        Parameters
        ----------
        name
            What the log is called.
        argv
            The program and its arguments.
        env
            Added to this process's environment.
        cwd
            Where it runs: the session's folder unless told otherwise.
        """
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv, env=self.environment(env), cwd=cwd or self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def end_group(self, process: subprocess.Popen[Any]) -> None:
        """Kill a process with all of its group, which it leads."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_until(
        self, ready: Callable[[], bool], what: str, *, process: subprocess.Popen[bytes], name: str, limit: float
    ) -> None:
        """Wait until `ready()` holds, looking 50 times a second, for at most `limit` seconds.

        Raises
        ------
        CourseError
            When `process` ends first or the limit passes; it carries the end of the log.
        """
        deadline = time.monotonic() + limit
        while not ready():
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                log = self.logs / f"{name}.log"
                fate = f"ended with code {process.returncode}" if ended else f"was not ready within {limit:.0f} s"
                raise CourseError(
                    f"{what} {fate}. The end of its log:\n{tail(log)}",
                    where=str(log),
                    todo="Run ./course doctor, and try again.",
                )
            time.sleep(0.02)


def tail(log: Path, lines: int = 12) -> str:
    """Return the last `lines` lines of a log, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def members(folder: Path) -> list[psutil.Process]:
    """Return the running processes that carry the mark of `folder`, and their descendants.

    These can lack the mark: a BashOperator with an `env` drops it.
    """
    everyone = [process for process in psutil.process_iter(["environ", "ppid"]) if process.pid != os.getpid()]
    found = {one.pid for one in everyone if str(folder) in (one.info["environ"] or {}).get(MARK, "").split(":")}
    while more := {one.pid for one in everyone if one.info["ppid"] in found} - found:
        found |= more
    return [process for process in everyone if process.pid in found]


def end_processes(folder: Path) -> None:
    """End every process that carries the mark of `folder`: a session's, or a part of one.

    Nothing in a session is worth a slow farewell, so processes are killed, but for those that would leave something
    behind in memory; these have six seconds.
    """
    begun = time.monotonic()
    while (left := members(folder)) and time.monotonic() < begun + 10:
        patient = time.monotonic() < begun + 6  # Postgres itself kills what does not heed it within 5 s
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(_farewell(process) if patient else signal.SIGKILL)
        psutil.wait_procs(left, timeout=0.1)  # not longer: it takes zombies for running


def _farewell(process: psutil.Process) -> int:
    """Return the signal that ends a process, or 0 for one that ends after the others."""
    if process.name() == "postgres":
        return signal.SIGQUIT  # an immediate shutdown, which removes its shared memory
    if "multiprocessing.resource_tracker" in " ".join(process.cmdline()):
        return 0  # it removes the semaphores of those that it tracks
    return signal.SIGKILL


def end(folder: Path) -> None:
    """End every process of the session of `folder`, and remove the folder."""
    end_processes(folder)
    # The lock goes last: what a removal that is cut short leaves, the next session finds by it.
    for part in folder.glob("*"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def clean_stale(state: Path) -> None:
    """End the sessions of this clone whose owner is gone."""
    for lock in sorted((state / "run").glob("*/lock")):
        # It is held, or another has just removed it, or another user left it: nothing to do in each case.
        with contextlib.suppress(OSError), lock.open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end(lock.parent)


def _lock(folder: Path) -> IO[str]:
    # It gets its name once it is held, or another session could take this one for stale.
    lock = (folder / "lock.new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "lock.new").rename(folder / "lock")
    return lock


def _prune(state: Path) -> None:
    for old in sorted((state / "logs").iterdir())[:-KEPT_LOGS]:
        if not (state / "run" / old.name).exists():  # else it still writes there
            shutil.rmtree(old, ignore_errors=True)


def _tell_full_disk(state: Path, error: Exception) -> None:
    # What fails for want of room fails in many ways: a look at the disk tells more than most of their texts.
    free = shutil.disk_usage(state).free // 2**20
    if free < FULL_MB or os.strerror(errno.ENOSPC) in str(error):
        consequence = str(error).split("\n", 1)[0]
        raise CourseError(
            f"The disk is full ({free} MB are free), hence: {consequence}",
            where=str(state),
            todo=f"Make room: a run needs {ROOM_MB} MB.",
        ) from error


if __name__ == "__main__":
    end(ended := Path(sys.argv[1]))
    clean_stale(ended.parent.parent)  # sessions that its processes had opened
