"""What a side holds and burns: peak memory of its process tree while it works, and CPU while it has nothing to do.

Contract: the tree is every process that descends from this one, Postgres and the source apart, since both sides use
the same. Memory is PSS (each shared page counted once, divided among those that share it) on Linux, else RSS.
"""

import threading
import time
from collections.abc import Iterable
from typing import Self

import psutil

MEGABYTE = 2**20


def tree() -> list[psutil.Process]:
    """Return the processes that descend from this one, without Postgres and the source."""
    found = []
    pending = list(psutil.Process().children())
    while pending:
        one = pending.pop()
        try:
            command = " ".join(one.cmdline())
            if (
                one.name() == "postgres" or "autograder.airflow_local.s" in command
            ):  # the source, and the session's keeper
                continue
            pending += one.children()
        except psutil.Error:
            continue
        found.append(one)
    return found


def memory(processes: Iterable[psutil.Process]) -> float:
    """Return the memory of these processes in MB."""
    total = 0
    for one in processes:
        try:
            full = one.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(full, "pss", full.rss)
    return total / MEGABYTE


def cpu(seconds: float) -> float:
    """Return how many seconds of CPU the tree uses in a minute, measured over `seconds` of standing still."""

    def used() -> float:
        total = 0.0
        for one in tree():
            try:
                times = one.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) * 60 / (time.monotonic() - began)


class Peak(threading.Thread):
    """Looks at the tree's memory all the time, until the block ends; `megabytes` is the most that it saw."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._done.wait(0.2):
            self.megabytes = max(self.megabytes, memory(tree()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()
