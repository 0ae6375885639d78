"""Do the commands run what they must, tell what they saw, and end with the right code?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autograder import checking
from autograder.cli import app
from autograder.errors import CourseError
from autograder.observe.evidence import VISIBLE
from tests.unit.changes import Change, not_imported
from tests.unit.evidence import perfect
from tests.unit.mistakes import MISTAKES, spoilt

DAG = "# airflow dag\n"


@pytest.fixture
def submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_STUDENT", "ada")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "taxi_pipeline.py").write_text(DAG)
    return tmp_path


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Stand in for the observation, which is of a perfect submission; give what was to be played."""
    return observing(monkeypatch, perfect())


def observing(monkeypatch: pytest.MonkeyPatch, evidence: dict[str, Any]) -> list[tuple[str, ...]]:
    wanted_so_far: list[tuple[str, ...]] = []

    def observed(project: Path, student: str, *, wanted: Sequence[str], **_: object) -> dict[str, Any]:
        wanted_so_far.append(tuple(wanted))
        kept = {"version", "student", "digest", "dag_id", "files", "parsed", "source", "practice", "seconds"}
        return {key: value for key, value in evidence.items() if key in kept or key in wanted}

    monkeypatch.setattr(checking, "observed", observed)
    return wanted_so_far


def call(*arguments: object) -> tuple[int, str]:
    """Call the command line; what is no CourseError must not come out of it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit | CourseError):
        raise result.exception
    code = result.exception.exit_code if isinstance(result.exception, CourseError) else result.exit_code
    return code, result.output + str(result.exception or "")


def test_all_visible_checks_are_run_and_the_others_are_told_of(
    submission: Path, played: list[tuple[str, ...]], tmp_path: Path
) -> None:
    code, text = call("check", "--folder", submission, "--json", tmp_path / "verdicts.json")
    assert code == 0
    assert played == [VISIBLE]
    assert "Minimum 5/5 · Target 3/3" in text
    assert "8 of 8 visible checks pass; 9 more at grading. Ours is there to compare with: ./course solution" in text
    assert "○ AT GRADING      minimum.retries" in text
    written = json.loads((tmp_path / "verdicts.json").read_text())
    assert (written["score"], written["max_score"], len(written["checks"])) == (54, 54, 8)
    assert [one["id"] for one in written["at_grading"]][:2] == ["minimum.logical-date", "minimum.retries"]


def test_what_reading_answers_needs_no_run(submission: Path, played: list[tuple[str, ...]]) -> None:
    code, text = call("check", "minimum.schedule", "--folder", submission)
    assert (code, played) == (0, [("parse",)])
    assert text.startswith("✓ PASS · minimum.schedule")


def test_a_tier_is_told_alone(submission: Path, played: list[tuple[str, ...]]) -> None:
    code, text = call("check", "target", "--folder", submission)
    assert code == 0
    assert "Target: 20 of 20 points" in text
    assert text.rstrip().endswith("Target 3/3"), "of what was not run, nothing is said"
    assert "minimum." not in text
    assert "✓ PASS" in text


def test_a_hidden_check_is_told_of_and_nothing_is_run(submission: Path, played: list[tuple[str, ...]]) -> None:
    code, text = call("check", "minimum.retries", "--folder", submission)
    assert (code, played) == (0, [])
    assert text.startswith("○ AT GRADING · minimum.retries · 8 points")
    assert "./course hint minimum.retries 1" in text


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (MISTAKES["strays_loaded"].change, 1, "✗ NOT YET · target.backfill-rows"),
        (not_imported("SyntaxError: x"), 1, "… WAITING · target.idempotent"),
        (lambda evidence: evidence.pop("backfill"), 2, "! COULD NOT CHECK · target.backfill-runs"),
    ],
)
def test_what_does_not_pass_is_told_in_full(
    submission: Path, monkeypatch: pytest.MonkeyPatch, change: Change, code: int, said: str
) -> None:
    observing(monkeypatch, spoilt(change))
    ended, text = call("check", "--folder", submission)
    assert ended == code
    assert said in text


def test_watching_has_no_one_result(submission: Path, tmp_path: Path) -> None:
    code, text = call("check", "--watch", "--folder", submission, "--json", tmp_path / "verdicts.json")
    assert code == 2
    assert "--watch has no one result" in text


def test_a_hidden_check_cannot_be_watched(submission: Path) -> None:
    code, text = call("check", "minimum.retries", "--watch", "--folder", submission)
    assert code == 2
    assert "checked at grading only" in text


def test_who_has_no_name_is_told(
    submission: Path, played: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_STUDENT")
    _, text = call("check", "minimum.schedule", "--folder", submission)
    assert "AIRFLOW_STUDENT is not set" in text


def test_an_unknown_check_is_answered_with_the_known_ones(submission: Path, played: list[tuple[str, ...]]) -> None:
    code, text = call("check", "minimum.retry", "--folder", submission)
    assert (code, played) == (2, [])
    assert "minimum.retries" in text


def test_the_solution_is_shown_to_who_has_one(submission: Path, played: list[tuple[str, ...]]) -> None:
    code, text = call("solution", "--folder", submission)
    assert (code, played) == (0, [VISIBLE])
    assert "def month_of(logical_date: datetime) -> str:" in text
    assert "SOLUTION" not in text
    assert "## Likely failures" in call("solution", "RUNBOOK.md", "--folder", submission)[1]


def test_the_solution_is_not_shown_to_others(submission: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observing(monkeypatch, spoilt(MISTAKES["strays_loaded"].change))
    code, text = call("solution", "--folder", submission)
    assert code == 1
    assert "target.backfill-rows" in text
    assert "def month_of" not in text


def test_a_solution_that_is_not_there_is_answered_with_those_that_are(submission: Path) -> None:
    code, text = call("solution", "dags/other.py", "--folder", submission)
    assert code == 2
    assert "tests/test_taxi_pipeline.py" in text


def write(folder: Path, **documents: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def test_one_document_is_judged_in_full(tmp_path: Path) -> None:
    folder = write(tmp_path / "evidence", ada=perfect())
    code, text = call("judge", folder / "ada.json", "--json", tmp_path / "verdicts.json")
    assert code == 0
    assert "100 points; enough to pass, which takes 60." in text
    written = json.loads((tmp_path / "verdicts.json").read_text())
    assert {key: written[key] for key in ("student", "score", "max_score", "at_grading")} == {
        "student": "ada", "score": 100, "max_score": 100, "at_grading": [],
    }  # fmt: skip
    assert written["tiers"]["target"] == {"score": 30, "max_score": 30}
    fields = {"id", "points", "earned", "verdict", "expected", "seen", "cause", "message"}
    assert all(fields <= set(check) for check in written["checks"])


def test_several_documents_are_judged_in_a_line_each(tmp_path: Path) -> None:
    bad = spoilt(MISTAKES["import_error"].change) | {"student": "grace"}
    folder = write(tmp_path / "evidence", ada=perfect(), grace=bad)
    code, text = call("judge", folder, "--json", tmp_path / "verdicts.json")
    assert code == 1
    assert "100 of 100" in text
    written = json.loads((tmp_path / "verdicts.json").read_text())
    # The report needs no DAG.
    assert [(one["student"], one["score"], one["passed"]) for one in written] == [
        ("ada", 100, True),
        ("grace", 2, False),
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1, "student": "ada"}', '{"version": 2}'])
def test_what_is_no_evidence_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "ada.json").write_text(content)
    code, text = call("judge", tmp_path / "ada.json")
    assert code == 2
    assert "This is not evidence" in text
    assert str(tmp_path / "ada.json") in text


def test_a_folder_without_evidence_is_named(tmp_path: Path) -> None:
    code, text = call("judge", tmp_path)
    assert code == 2
    assert "no evidence in this folder" in text
