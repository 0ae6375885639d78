"""Is the grader right about submissions whose worth is known? Each recording is judged in every test run."""

import re
from pathlib import Path
from typing import Any

import pytest

from autograder.checks import judge
from autograder.checks.rules import RULES
from autograder.checks.verdict import Verdict
from autograder.manifest import load
from autograder.observe.project import written_files
from autograder.paths import ASSIGNMENT, RELEASE
from tests import record
from tests.corpus import ALTERNATES, FOLDER, MUTANTS, STARTER, SUBMISSIONS, _edited

COURSE = load()
IDS = [check.id for check in COURSE.checks]
RECORDED = {
    name: record.read(name)["evidence"] for name in SUBMISSIONS if (record.RECORDED / f"{name}.json.gz").exists()
}


def judged(evidence: dict[str, Any]) -> dict[str, Verdict]:
    return {verdict.id: verdict for verdict in judge(evidence, COURSE)}


def outcomes(loses: set[str]) -> dict[str, str]:
    """Return the verdicts of a submission that loses these checks: those that build on them wait."""
    expected: dict[str, str] = {}
    for check_id in IDS:
        waits = any(expected[need] != "pass" for need in RULES[check_id].needs)
        expected[check_id] = "waiting" if waits else "not_yet" if check_id in loses else "pass"
    return expected


def test_every_recording_fits_what_it_was_made_from() -> None:
    reasons = record.stale()
    assert not reasons, (
        "Record anew with `python -m tests.record --stale` (or show with `--unchanged` that nothing else is seen):\n"
        + "\n".join(f"{name} {why}" for name, why in reasons.items())
    )


def test_every_submission_is_recorded_or_listed_as_not_recorded() -> None:
    assert {path.name.partition(".")[0] for path in record.RECORDED.iterdir()} == set(RECORDED)
    assert sorted([*RECORDED, *record.unrecorded()]) == sorted(SUBMISSIONS)


@pytest.mark.parametrize("name", RECORDED)
def test_a_submission_loses_exactly_what_it_says(name: str) -> None:
    loses = SUBMISSIONS[name].loses
    seen = judged(RECORDED[name])
    told = {one: (verdict.message, verdict.cause) for one, verdict in seen.items() if verdict.verdict != "pass"}
    assert {one: verdict.verdict for one, verdict in seen.items()} == outcomes(set(loses)), told
    for check_id, cause in loses.items():
        assert (cause or "") in (seen[check_id].cause or ""), told


@pytest.mark.parametrize("name", [name for name in ("reference", *ALTERNATES) if name in RECORDED])
def test_a_right_submission_gets_all_points(name: str) -> None:
    assert sum(verdict.earned for verdict in judge(RECORDED[name], COURSE)) == sum(one.points for one in COURSE.checks)


def test_the_untouched_release_gets_no_points() -> None:
    assert sum(verdict.earned for verdict in judge(RECORDED[STARTER.name], COURSE)) == 0
    handed_in = written_files(RELEASE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb")
    assert STARTER.files() == {path.as_posix(): text.encode() for path, text in handed_in}


def test_there_are_enough_of_each_kind() -> None:
    assert len(ALTERNATES) >= 20
    assert len(MUTANTS) >= 60


def test_every_check_is_lost_alone_by_some_mutant() -> None:
    alone = {check for mutant in MUTANTS.values() if len(mutant.loses) == 1 for check in mutant.loses}
    assert alone == set(IDS)


def test_no_two_submissions_are_the_same() -> None:
    digests = [submission.digest() for submission in SUBMISSIONS.values()]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_names_checks_that_there_are(name: str) -> None:
    assert MUTANTS[name].loses
    assert set(MUTANTS[name].loses) <= set(IDS)
    assert MUTANTS[name].why.endswith(".")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("edit: {dags/taxi_pipeline.py: [{old: no such text, new: x}]}", "0 times in dags/taxi_pipeline.py"),
        ("edit: {dags/taxi_pipeline.py: [{old: import, new: x}]}", r"\d+ times in dags/taxi_pipeline.py"),
        ("remove: [dags/no_such_file.py]", "there is no dags/no_such_file.py to remove"),
        ("edits: {}", "unknown or missing: edits"),
    ],
)
def test_an_edit_that_does_not_fit_is_an_error(tmp_path: Path, wrong: str, says: str) -> None:
    mutant = tmp_path / "mutant.yaml"
    mutant.write_text(f"why: It is wrong.\nloses: {{minimum.retries: null}}\n{wrong}\n")
    with pytest.raises(ValueError, match=says):
        _edited(mutant)


def test_a_program_is_the_same_with_other_comments_and_layout() -> None:
    one = '"""Text."""\n# why\ndef f(a):\n    """Text."""\n    return a + 1\n'
    assert record._program(one) == record._program('def f(a):\n    """Another."""\n    return (a +\n        1)\n')
    assert record._program(one) != record._program(one.replace("+ 1", "+ 2"))


def test_recordings_do_not_say_where_they_were_made() -> None:
    for name in RECORDED:
        assert not re.search(r"/(root|Users|work)/\w", str(record.read(name)["evidence"])), name


def test_the_sample_covers_every_scenario() -> None:
    keys = {key for name in record.SAMPLE for key in RECORDED[name]}
    assert keys == {key for evidence in RECORDED.values() for key in evidence}
    assert FOLDER.is_dir()
