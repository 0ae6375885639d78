"""The reference in a sandbox: the same verdicts as without one. Slow: a whole observation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.observe.evidence import SCENARIOS, VERSION
from autograder.observe.observation import Observation
from autograder.observe.project import content_digest
from autograder.sandbox import Sandbox, available
from tests.corpus import STUDENT, SUBMISSIONS
from tests.record import SEED, read, verdicts

pytestmark = [
    pytest.mark.slow,  # tests/integration/test_hostile_submissions.py has short ones
    pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}"),
]


@pytest.fixture(scope="module")
def shared(without_secrets: None) -> Iterator[Shared]:
    with Session.open() as session:
        yield Shared.start(session)


@pytest.mark.parametrize("name", ["reference", "own_dbt_project", "failures_are_logged"])
def test_a_submission_has_the_same_verdicts_in_a_sandbox(shared: Shared, tmp_path: Path, name: str) -> None:
    project = SUBMISSIONS[name].write(tmp_path)
    with Sandbox() as sandbox:
        observation = Observation(shared, project, STUDENT, content_digest(project), lambda _: None, sandbox)
        seen = observation.run(SCENARIOS, SEED)
        sandbox.check()
    evidence = {"version": VERSION, "student": STUDENT, "digest": "", **seen}
    assert [(one["id"], one["verdict"]) for one in verdicts(evidence)] == [
        (one["id"], one["verdict"]) for one in verdicts(read(name)["evidence"])
    ]
