"""A lock that says who holds it.

Contract: `locked` keeps every other caller out of a place on disk until its block ends, and takes the lock of a holder
that has died. A holder is named while it lives: what an earlier one wrote is not told.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from autograder.errors import CourseError

PATIENCE_S = 5.0
"""Seconds in which what a killed holder forked has ended, and a new one has written its name."""

LOOKS_EVERY_S = 0.05


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: a process, when it began, its machine, and what it says of itself."""

    pid: int
    began: float
    host: str
    says: str = ""

    def __str__(self) -> str:
        """Return its name, for a person."""
        return f"process {self.pid} on {self.host}"

    def lives(self) -> bool:
        """Return whether it is still there; of another machine's nobody knows here."""
        if self.host != socket.gethostname():
            return True
        try:
            process = psutil.Process(self.pid)
            return bool(process.create_time() == self.began and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


@contextlib.contextmanager
def locked(path: Path, refusal: Callable[[Holder | None], CourseError]) -> Iterator[Callable[[str], None]]:
    """Hold a lock until the block ends.

    Parameters
    ----------
    path
        The lock's file; it stays.
    refusal
        Makes the error for one who comes while another holds it. The holder is None where it has not written its
        name.

    Yields
    ------
    callable
        Takes what the holder says of itself, for `refusal`.

    Raises
    ------
    CourseError
        When another holds it, or the file cannot be locked.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            _take(file, refusal)
        except OSError as error:
            raise CourseError(
                f"This folder cannot be locked: {error.strerror}.",
                where=str(path),
                todo="Use a folder on a local disk that you may write to.",
            ) from error
        me = Holder(os.getpid(), psutil.Process().create_time(), socket.gethostname())

        def say(text: str) -> None:
            _write(file, json.dumps(asdict(me) | {"says": text}))

        say("")
        stack.callback(_write, file, "")
        yield say


def _take(file: IO[str], refusal: Callable[[Holder | None], CourseError]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(file)
            if holder or time.monotonic() > deadline:
                raise refusal(holder) from error
            time.sleep(LOOKS_EVERY_S)
        else:
            return


def _holder(file: IO[str]) -> Holder | None:
    """Return who wrote its name and lives; None where that is nobody, or is being written."""
    file.seek(0)
    try:
        holder = Holder(**json.loads(file.read()))
    except (ValueError, TypeError):
        return None
    return holder if holder.lives() else None


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
