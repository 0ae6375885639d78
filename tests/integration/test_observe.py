"""Does a real Airflow show that the reference is right, and that the untouched release is nothing yet?

The wrong and the other right submissions are in tests/submissions. What was observed is kept in .course/evidence as for
grading, and observed again only when the submission or the program has changed.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.checks import judge
from autograder.checks.rules import RULES
from autograder.checks.verdict import Verdict
from autograder.observe import evidence
from autograder.observe.evidence import digest, observed
from autograder.observe.project import write_project
from autograder.paths import ASSIGNMENT, RELEASE, SOURCE, STATE
from tests.unit.evidence import perfect

pytestmark = pytest.mark.integration

SUBMISSIONS = {
    "reference": SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb",
    "starter": RELEASE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb",
}
Observe = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """What the submissions' Airflows share."""
    with Session.open() as session:
        yield Shared.start(session)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a submission's project."""
    return functools.cache(lambda name: write_project(SUBMISSIONS[name], tmp_path_factory.mktemp("project") / name))


@pytest.fixture(scope="module")
def observe(request: pytest.FixtureRequest, project: Callable[[str], Path]) -> Observe:
    """Observe a submission, unless that is on record."""

    def observe(name: str) -> dict[str, Any]:
        on_record = (STATE / "evidence" / f"{digest(project(name), name)}.json").exists()
        shared = None if on_record else request.getfixturevalue("shared")
        return observed(project(name), name, shared=shared)

    return observe


def verdicts(document: dict[str, Any]) -> dict[str, Verdict]:
    return {verdict.id: verdict for verdict in judge(document)}


def outcomes(loses: set[str]) -> dict[str, str]:
    """Return the verdicts of a submission that loses these checks: those that build on them wait."""
    expected: dict[str, str] = {}
    for check_id in verdicts({}):
        waits = any(expected[need] != "pass" for need in RULES[check_id].needs)
        expected[check_id] = "waiting" if waits else "not_yet" if check_id in loses else "pass"
    return expected


def test_the_reference_loses_nothing(observe: Observe) -> None:
    seen = verdicts(observe("reference"))
    assert {one: verdict.verdict for one, verdict in seen.items()} == outcomes(set())
    assert all(verdict.earned == verdict.points for verdict in seen.values())


def test_the_starter_is_not_written_yet_and_earns_nothing(observe: Observe) -> None:
    seen = verdicts(observe("starter"))
    assert {one: verdict.verdict for one, verdict in seen.items()} == outcomes({"minimum.dag-loads", "target.report"})
    assert "not written yet" in (seen["minimum.dag-loads"].cause or "")
    assert sum(verdict.earned for verdict in seen.values()) == 0


def test_what_is_on_record_is_not_observed_again(
    observe: Observe, project: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = observe("starter")

    def started(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(Session, "open", started)
    monkeypatch.setattr(evidence, "Observation", started)
    told: list[str] = []
    assert observed(project("starter"), "starter", told=told.append) == first
    assert told == ["on record from an earlier run"]
    with pytest.raises(AssertionError, match="something was started"):
        observed(project("starter"), "another student")


def test_the_evidence_that_unit_tests_judge_has_the_real_ones_shape(observe: Observe) -> None:
    alike(observe("reference"), perfect())


NAMES = {"dags", "source", "practice", "bugs", "others_before", "others_after"}
"""Their keys are names of a submission's or a grading's own."""


def alike(real: Any, synthetic: Any, where: str = "evidence") -> None:
    """Assert that two documents have the same keys and types; null stands for any type, and some keys are data."""
    if real is None or synthetic is None or where.endswith(".months"):
        return
    assert type(real) is type(synthetic), where
    if isinstance(real, dict) and where.rpartition(".")[2] in NAMES:
        for key in real:
            alike(real[key], next(iter(synthetic.values())), f"{where}.{key}")
    elif isinstance(real, dict):
        assert real.keys() == synthetic.keys(), where
        for key in real:
            alike(real[key], synthetic[key], f"{where}.{key}")
    elif isinstance(real, list):
        assert bool(real) == bool(synthetic), where
        for one in real:
            alike(one, synthetic[0], f"{where}[]")
