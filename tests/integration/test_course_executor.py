"""Does the executor wait for results where the scheduler would have slept, and only there?"""

import importlib.util
from multiprocessing import SimpleQueue
from typing import Any

import pytest

from autograder.airflow_local.airflow import CLUSTER_POLICY, TUNING

pytestmark = pytest.mark.integration


class Results:
    """A queue that has results in some of its executor's loops, and notes how long it is waited for."""

    def __init__(self, *there: bool) -> None:
        self.there = iter(there)
        self.now = False
        self.waits: list[float | None] = []
        self._reader = self

    def begin(self) -> None:
        self.now = next(self.there)
        self.waits.append(None)

    def poll(self, seconds: float) -> bool:
        self.waits[-1] = seconds
        return self.now

    def empty(self) -> bool:
        return not self.now

    def get(self) -> tuple[str, str, None]:
        self.now = False
        return "key", "success", None


@pytest.fixture
def module() -> Any:
    name, _ = TUNING["CORE__EXECUTOR"].split(".")
    spec = importlib.util.spec_from_file_location(name, CLUSTER_POLICY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def loops(module: Any, monkeypatch: pytest.MonkeyPatch, running: list[bool], results: Results) -> list[float | None]:
    executor = getattr(module, TUNING["CORE__EXECUTOR"].split(".")[1])()
    executor.result_queue = results
    monkeypatch.setattr(executor, "change_state", lambda *_: None)
    monkeypatch.setattr(executor, "_check_workers", lambda: None)
    for second, busy in enumerate(running):
        monkeypatch.setattr(module.time, "monotonic", lambda second=second: 100.0 + second)
        executor.running = {"key"} if busy else set()
        results.begin()
        executor.sync()
    return results.waits


def test_a_result_is_waited_for_and_followed_by_two_loops_at_once(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = loops(module, monkeypatch, [True] * 5, Results(False, True, False, False, False))
    assert waits == [module.BUSY, module.BUSY, None, None, module.BUSY]


def test_where_nothing_runs_it_looks_more_and_more_seldom(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = loops(module, monkeypatch, [True, False, False, False, True], Results(*[False] * 5))
    assert waits == [module.BUSY, module.BUSY, module.IDLE, module.IDLE, module.BUSY]


def test_the_queue_of_the_executor_can_be_waited_for() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    queue.put(1)
    assert queue._reader.poll(0)  # type: ignore[attr-defined]
