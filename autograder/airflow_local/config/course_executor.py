"""Airflow's LocalExecutor, which lets the scheduler wait for the end of a task rather than sleep.

Contract: the scheduler calls `sync` once in each of its loops, and sleeps no longer than SCHEDULER_IDLE_SLEEP_TIME
in between (0 for this executor). `sync` waits here until a task has ended: not longer than the scheduler would have
slept, and not at all while ends have yet to become states of runs. So the next task begins some 50 ms sooner, and an
Airflow that has nothing to do looks around five times a second instead of twenty.

A task's supervisor may miss the end of its process, whose connections close a moment before it has ended: it then
learns of it a second later. The state of the task is stored by then, so such an end counts here as well.

What was there when it starts, it keeps out of Python's searches for garbage: each would stop the scheduler for a
quarter of a second.
"""

import gc
import time
from pathlib import Path
from typing import Any

from airflow.executors.local_executor import LocalExecutor

WAIT = 0.2
"""Seconds to wait for the end of a task: how late the scheduler may see a run that somebody triggers."""

LOOK = 0.02
"""Seconds between two looks at the processes of tasks."""

SETTLING = 2
"""Loops after an end that do not wait: in one its run goes on or ends, in the next another run begins."""


class PromptLocalExecutor(LocalExecutor):  # type: ignore[misc]  # Airflow is not typed for us
    """A LocalExecutor that says at once when a task has ended."""

    _settling = 0
    _missed: frozenset[int] = frozenset()

    def start(self) -> None:
        """Start the workers; Airflow's executor, which freezes what they share with it, thaws it afterwards."""
        super().start()
        gc.freeze()

    def change_state(self, *change: Any, **more: Any) -> None:  # noqa: ANN401 - as the executor has it
        """Pass on a result: loops follow in which something happens."""
        self._settling = SETTLING
        super().change_state(*change, **more)

    def sync(self) -> None:
        """Wait for the end of a task, then do what Airflow's does: pass results on."""
        if self._settling:
            self._settling -= 1
        else:
            self._wait()
        super().sync()

    def _wait(self) -> None:
        until = time.monotonic() + WAIT
        while not self.result_queue._reader.poll(LOOK) and time.monotonic() < until:
            before, self._missed = self._missed, frozenset(filter(_has_ended, _children(self.workers)))
            if self._missed - before:
                self._settling = SETTLING
                break


def _children(workers: dict[int, Any]) -> list[int]:
    """Return the children of the workers, each the process of a task; none where the system does not tell."""
    try:
        told = [Path(f"/proc/{worker}/task/{worker}/children").read_text() for worker in workers]
    except OSError:
        return []
    return [int(child) for children in told for child in children.split()]


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
