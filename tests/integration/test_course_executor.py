"""Does the executor wait for the ends of tasks where the scheduler would have slept, and only there?"""

import gc
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import SimpleQueue
from typing import Any

import pytest
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.utils.state import TaskInstanceState

from autograder.airflow_local.airflow import CLUSTER_POLICY, TUNING

pytestmark = pytest.mark.integration

KEY = TaskInstanceKey("a_dag", "a_task", "a_run")
LONG = 20.0
"""Seconds that a wait takes which nothing ends."""


@pytest.fixture
def module() -> Any:
    name, _ = TUNING["CORE__EXECUTOR"].split(".")
    spec = importlib.util.spec_from_file_location(name, CLUSTER_POLICY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def executor(module: Any) -> Any:
    made = getattr(module, TUNING["CORE__EXECUTOR"].split(".")[1])(parallelism=1)
    made.result_queue = SimpleQueue()
    made.workers = {}
    made._check_workers = lambda: None
    return made


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    """A process that starts another for each line that it gets, and takes no notice of its end."""
    script = "import subprocess, sys\nkept = [subprocess.Popen(['true']) for line in sys.stdin]"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def waits(executor: Any, monkeypatch: pytest.MonkeyPatch, loops: int) -> list[bool]:
    """In which of so many loops does it wait?"""
    waited = []
    monkeypatch.setattr(executor, "_wait", lambda: waited.append(True))
    for _ in range(loops):
        before = len(waited)
        executor.sync()
        waited[before:] = [len(waited) > before]
    return waited


def test_a_result_is_followed_by_two_loops_that_do_not_wait(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    executor.result_queue.put((KEY, TaskInstanceState.SUCCESS, None))
    assert waits(executor, monkeypatch, 5) == [True, False, False, True, True]
    assert list(executor.event_buffer) == [KEY]


def test_a_result_ends_the_wait(executor: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT", LONG)
    executor.result_queue.put((KEY, TaskInstanceState.SUCCESS, None))
    began = time.monotonic()
    executor._wait()
    assert time.monotonic() - began < LONG


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of the processes of tasks")
def test_the_end_of_a_process_that_its_supervisor_missed_ends_the_wait_once(
    executor: Any, module: Any, monkeypatch: pytest.MonkeyPatch, worker: subprocess.Popen[str]
) -> None:
    assert worker.stdin is not None
    executor.workers = {worker.pid: None}
    for _ in range(2):
        monkeypatch.setattr(module, "WAIT", LONG)
        worker.stdin.write("\n")
        worker.stdin.flush()
        began = time.monotonic()
        executor._wait()
        assert time.monotonic() - began < LONG
        assert executor._settling == module.SETTLING
        executor._settling = 0
        monkeypatch.setattr(module, "WAIT", 2 * module.LOOK)
        executor._wait()
        assert executor._settling == 0


def test_python_searches_no_garbage_in_what_was_there_before(executor: Any) -> None:
    before = gc.get_freeze_count()
    executor.start()
    try:
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
        del executor._check_workers
        executor.end()
