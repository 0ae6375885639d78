"""Airflow's LocalExecutor, which lets the scheduler wait for the end of a task rather than sleep.

Contract: the scheduler calls `sync` once in each of its loops, and sleeps no longer than SCHEDULER_IDLE_SLEEP_TIME
in between (0 for this executor). `sync` waits for a result of a task here: not longer than the scheduler would
have slept, and not at all while results have yet to become states of runs. So the next task begins some 50 ms sooner,
and an Airflow that has nothing to do looks around five times a second instead of twenty.
"""

import time

from airflow.executors.local_executor import LocalExecutor

BUSY = 0.05
"""Seconds to wait while tasks run, and shortly afterwards: what else the scheduler sees to is not late."""

IDLE = 0.2
"""Seconds to wait when nothing has run lately: how late the scheduler may see a run that somebody triggers."""

LATELY = 2.0
"""Seconds."""

SETTLING = 2
"""Loops after a result that do not wait: in one its run goes on or ends, in the next another run begins."""


class PromptLocalExecutor(LocalExecutor):  # type: ignore[misc]  # Airflow is not typed for us
    """A LocalExecutor that says at once when a task has ended."""

    _settling = 0
    _active = 0.0

    def sync(self) -> None:
        """Wait for a result, then do what Airflow's does: pass results on."""
        now = time.monotonic()
        if self.running:
            self._active = now
        if self._settling:
            self._settling -= 1
        else:
            self.result_queue._reader.poll(BUSY if now - self._active < LATELY else IDLE)
        if not self.result_queue.empty():
            self._settling = SETTLING
        super().sync()
