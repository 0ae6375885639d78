"""Does a submission show the same when it is observed anew: what is on record, and the same each time?

A fixed sample that covers every scenario is observed in each run; `./course test --all` observes all.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.observe import evidence
from tests import record
from tests.corpus import SUBMISSIONS
from tests.integration.test_observe import alike

pytestmark = pytest.mark.integration

Observe = Callable[[list[str]], list[dict[str, Any]]]

MANY = 20


@pytest.fixture(scope="module")
def observe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observe]:
    """Observe submissions anew, whatever is on record, two at a time."""
    with pytest.MonkeyPatch.context() as patch, Session.open() as session, ThreadPoolExecutor(record.AT_ONCE) as pool:
        shared = Shared.start(session)

        def observe(names: list[str]) -> list[dict[str, Any]]:
            patch.setattr(evidence, "STATE", tmp_path_factory.mktemp("state"))
            return list(pool.map(lambda name: record.observe(name, shared), names))

        yield observe


def check(names: list[str], observe: Observe) -> None:
    differ = {}
    for name, seen in zip(names, observe(names), strict=True):
        on_record = record.read(name)["evidence"]
        alike(seen, on_record, name)
        if (now := record.verdicts(seen)) != (then := record.verdicts(on_record)):
            differ[name] = [pair for pair in zip(now, then, strict=True) if pair[0] != pair[1]]
    assert not differ


def test_the_sample_shows_what_is_on_record(observe: Observe) -> None:
    check(list(record.SAMPLE), observe)


@pytest.mark.slow
def test_every_submission_shows_what_is_on_record(observe: Observe) -> None:
    check([name for name in SUBMISSIONS if name not in [*record.SAMPLE, *record.unrecorded()]], observe)


@pytest.mark.slow
def test_a_submission_observed_many_times_has_the_same_verdicts(observe: Observe) -> None:
    first = record.verdicts(record.read("reference")["evidence"])
    assert [record.verdicts(seen) for seen in observe(["reference"] * MANY)] == [first] * MANY


def test_what_cannot_be_observed_is_told_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails_once(name: str, shared: Shared) -> dict[str, Any]:
        if name == "reference":
            raise RuntimeError("no room")
        return {"seconds": {"parse": 1.0}}

    monkeypatch.setattr(record, "RECORDED", tmp_path)
    monkeypatch.setattr(record, "UNRECORDED", tmp_path / "unrecorded.txt")
    record.UNRECORDED.write_text("reference\nstarter\nwhole_file\n")
    monkeypatch.setattr(record, "observe", fails_once)
    monkeypatch.setattr(Shared, "start", lambda session: None)
    assert record.record(["reference", "starter"]) == ["reference"]
    assert [path.name for path in tmp_path.glob("*.gz")] == ["starter.json.gz"]
    assert record.unrecorded() == ["reference", "whole_file"]
    assert record.read("starter")["evidence"] == {"seconds": {"parse": 1.0}}
    assert "reference: RuntimeError: no room" in capsys.readouterr().out
