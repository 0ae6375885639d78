"""Worker processes that observe submissions, a few at once, and what becomes of one that dies.

Contract: `observe_all` forks workers, gives each one submission at a time, and yields how each observation ended. What
a worker sends is JSON. A worker that dies, or takes longer than the limit, costs its own submission a try and no other.
A worker ends with the process that forked it.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from autograder.sandbox import Ended

Observe = Callable[[Path, str], dict[str, Any]]
"""From a project and a student's name to evidence; raises `Ended` where the submission was ended."""

LOOKS_EVERY = 0.5
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Job:
    """A project to observe, whose it is, and the file that takes the evidence."""

    student: str
    project: Path
    evidence: Path


@dataclass(frozen=True)
class Told:
    """What a worker says in the end: an outcome of records.Outcome, the reason, and the log of a fault."""

    job: Job
    outcome: str
    reason: str | None = None
    log: str = ""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Job | None = None
    since: float = 0.0


def observe_all(
    jobs: Sequence[Job],
    observe: Observe,
    store: Callable[[Path, str], object],
    *,
    workers: int,
    limit_s: float,
    again: Callable[[Told], bool],
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Told]:
    """Observe submissions in worker processes.

    Parameters
    ----------
    jobs
        What is to be observed.
    observe
        Does it, in a worker's main thread.
    store
        Writes the evidence.
    workers
        How many at once.
    limit_s
        Seconds that one may take.
    again
        Whether one is to be tried again, after what was told of it.
    tick
        Called now and then, to show progress.
    """
    queue = deque(jobs)
    pool = [_fork(observe, store) for _ in range(min(workers, len(queue)))]
    try:
        while queue or any(one.job for one in pool):
            for one in pool:
                if one.job is None and queue:
                    one.job, one.since = queue.popleft(), time.monotonic()
                    with contextlib.suppress(OSError):  # it died: seen below
                        one.connection.send_bytes(
                            json.dumps([one.job.student, str(one.job.project), str(one.job.evidence)]).encode()
                        )
            wait([one.connection for one in pool if one.job], timeout=LOOKS_EVERY)
            for place, one in enumerate(pool):
                if one.job is None or not (told := _heard(one, limit_s)):
                    continue
                one.job = None
                if not one.process.is_alive() or told.outcome == "timeout":
                    _end(one.process)
                    pool[place] = _fork(observe, store)
                if again(told):
                    queue.append(told.job)
                else:
                    yield told
            tick()
    finally:
        for one in pool:
            _end(one.process)


def _heard(one: _Worker, limit_s: float) -> Told | None:
    """Return what became of a worker's job, if that is known by now."""
    assert one.job  # noqa: S101 - the caller looked
    job = one.job
    try:
        if one.connection.poll():
            outcome, reason, log = json.loads(one.connection.recv_bytes())
            return Told(job, outcome, reason, log)
    except (EOFError, OSError, ValueError):
        one.process.join(1)
        code = one.process.exitcode
        return Told(job, "grader_fault", f"The process that observed it died (exit code {code}).", f"exit code {code}")
    if time.monotonic() - one.since > limit_s:
        _end(one.process)
        return Told(job, "timeout", f"It did not end within {limit_s:.0f} seconds.")
    return None


def _fork(observe: Observe, store: Callable[[Path, str], object]) -> _Worker:
    ours, theirs = _FORK.Pipe()
    process = _FORK.Process(target=_work, args=(theirs, ours, observe, store, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(
    connection: Connection, other: Connection, observe: Observe, store: Callable[[Path, str], object], parent: int
) -> None:
    """Observe what comes until nothing comes any more."""
    other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the one who forked us ends us
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            student, project, evidence = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            store(Path(evidence), json.dumps(observe(Path(project), student), indent=1))
            told = ["graded", None, ""]
        except Ended as ended:
            told = [ended.outcome, ended.reason, ""]
        except Exception as error:
            told = ["grader_fault", f"{type(error).__name__}: {error}", traceback.format_exc()]
        connection.send_bytes(json.dumps(told).encode())


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY)
    os._exit(1)


def _end(process: BaseProcess) -> None:
    """Kill a worker with all that it started."""
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for one in started:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.join()
