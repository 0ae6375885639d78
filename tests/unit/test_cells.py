"""Does a grade cell's call print, raise and remember as nbgrader and the student need it to?"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autograder import cells
from autograder.cells import Checks, CouldNotCheckError, NotPassedError, student_name
from autograder.checks.verdict import Verdict
from autograder.errors import CourseError
from autograder.manifest import Chapter, Check, Course, Tier
from autograder.paths import ROOT

CHAPTER = Chapter("05", "notebooks/05_backfills.ipynb", "Backfills", 60)
LOADS = Check("minimum.loads", "minimum", 2, "It loads.", "The file.", CHAPTER, ("a", "b", "c"))
RUNS = Check("minimum.runs", "minimum", 3, "It runs.", "The runs.", CHAPTER, ("a", "b", "c"))
READ = Check("minimum.dag-loads", "minimum", 1, "It is read.", "The file.", CHAPTER, ("a", "b", "c"))
LATER = Check("minimum.later", "minimum", 4, "It lasts.", "The runs.", CHAPTER, ("a", "b", "c"), visible=False)
COURSE = Course("A course", "homework", (CHAPTER,), (Tier("minimum", "Minimum"),), (READ, LOADS, RUNS, LATER), 5)


class Observer:
    """Stands in for the observation: counts the calls, and returns what the DAG file says."""

    def __init__(self) -> None:
        self.calls: list[tuple[Path, str, str]] = []
        self.failure: CourseError | None = None

    def __call__(self, project: Path, student: str, extent: str) -> dict[str, Any]:
        self.calls.append((project, student, extent))
        if self.failure:
            raise self.failure
        evidence: dict[str, Any] = json.loads((project / "dags" / "dag.py").read_text())
        return evidence


def judge(evidence: dict[str, Any]) -> Sequence[Verdict]:
    return [
        Verdict(name, 2, 2 if outcome == "pass" else 0, outcome, "", "", None, "") for name, outcome in evidence.items()
    ]


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def checks(observer: Observer) -> Checks:
    return Checks(observer, judge, COURSE)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cells, "DESK", tmp_path / "notebook.json")  # an Airflow may be running for this clone
    monkeypatch.delenv("AIRFLOW_STUDENT", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    write(tmp_path, {"minimum.loads": "pass", "minimum.runs": "not_yet"})
    return tmp_path


def write(project: Path, verdicts: dict[str, str]) -> None:
    (project / "dags").mkdir(exist_ok=True)
    (project / "dags" / "dag.py").write_text(json.dumps(verdicts))


def test_a_passed_check_prints_and_returns_nothing(
    checks: Checks, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert checks.check("minimum.loads") is None  # type: ignore[func-returns-value]
    out, err = capfd.readouterr()
    assert "✓ PASS · minimum.loads" in out
    assert err == ""


def test_a_hidden_check_is_told_of_and_neither_passes_nor_fails(
    checks: Checks, project: Path, observer: Observer, capfd: pytest.CaptureFixture[str]
) -> None:
    checks.check("minimum.later")
    out, err = capfd.readouterr()
    assert out.startswith("○ AT GRADING · minimum.later · 4 points\n")
    assert "PASS" not in out
    assert (err, observer.calls) == ("", [])


@pytest.mark.parametrize("outcome", ["pass", "not_yet"])
def test_while_nbgrader_grades_a_hidden_check_is_judged(
    checks: Checks, project: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    write(project, {"minimum.later": outcome})
    with contextlib.nullcontext() if outcome == "pass" else pytest.raises(NotPassedError, match="NOT YET"):
        checks.check("minimum.later")
    assert [extent for _, _, extent in observer.calls] == ["all"]


def test_what_later_cells_write_counts_from_the_first_check_on(
    checks: Checks, project: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    write(project, {"minimum.loads": "pass", "minimum.later": "pass"})
    runbook = "%%writefile RUNBOOK.md\n# Runbook"
    cells = [{"cell_type": "code", "source": ['check("minimum.loads")']}, {"cell_type": "code", "source": [runbook]}]
    (project / f"{COURSE.assignment}.ipynb").write_text(json.dumps({"cells": cells}))
    checks.check("minimum.loads")
    (project / "RUNBOOK.md").write_text("# Runbook\n")  # as its cell does
    checks.check("minimum.later")
    assert len(observer.calls) == 1


def test_a_notebook_that_runs_elsewhere_is_told_so(
    checks: Checks, project: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    for check_id in ("minimum.loads", None):
        with pytest.raises(CourseError, match="does not run in its own folder") as caught:
            checks.check(check_id)
        assert caught.value.where == str(project / "elsewhere")
    assert observer.calls == []


def test_nbgrader_validate_does_not_judge_a_hidden_check(
    checks: Checks, project: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    checks.check("minimum.later")
    assert observer.calls == []


def test_nbgrader_validate_which_shows_errors_only_is_told_all_in_the_error(
    checks: Checks, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotPassedError, match="What to do is told above"):
        checks.check("minimum.runs")
    told = capsys.readouterr().out.rstrip()
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    with pytest.raises(NotPassedError) as caught:
        checks.check("minimum.runs")
    assert str(caught.value) in told
    assert "What must hold" in str(caught.value)


def test_what_reading_the_file_answers_is_answered_without_a_run(
    checks: Checks, project: Path, observer: Observer
) -> None:
    write(project, {"minimum.dag-loads": "pass", "minimum.loads": "pass"})
    checks.check("minimum.dag-loads")
    checks.check("minimum.loads")
    checks.check("minimum.dag-loads")
    assert [extent for _, _, extent in observer.calls] == ["parse", "visible"]


def test_who_has_not_set_a_name_is_told(
    checks: Checks, project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks.check("minimum.loads")
    assert "AIRFLOW_STUDENT is not set" in capfd.readouterr().out
    monkeypatch.setenv("AIRFLOW_STUDENT", "grace")
    checks.check("minimum.loads")
    assert "AIRFLOW_STUDENT is not set" not in capfd.readouterr().out


def test_without_an_id_all_checks_are_shown_in_a_table(
    checks: Checks, project: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    write(project, {"minimum.dag-loads": "pass", "minimum.loads": "pass", "minimum.runs": "not_yet"})
    checks.check()
    (page,) = shown
    html = page._repr_html_()
    assert html.count('<th scope="row"') == 4
    for cell in ("✓ PASS", "✗ NOT YET", "○ AT GRADING", "2 of 3 visible checks pass; 1 more at grading."):
        assert cell in html
        assert cell in repr(page)
    assert [extent for _, _, extent in observer.calls] == ["visible"]


@pytest.mark.parametrize(
    ("outcome", "text"),
    [("not_yet", "✗ NOT YET"), ("waiting", "… WAITING"), ("could_not_check", "! COULD NOT CHECK")],
)
def test_any_other_outcome_prints_and_raises(
    checks: Checks, project: Path, capfd: pytest.CaptureFixture[str], outcome: str, text: str
) -> None:
    write(project, {"minimum.loads": outcome})
    with pytest.raises(NotPassedError, match=f"^{text}: minimum.loads"):
        checks.check("minimum.loads")
    out, err = capfd.readouterr()
    assert f"{text} · minimum.loads" in out
    assert err == ""


def test_the_exception_is_an_assertion_and_shows_one_line() -> None:
    error = NotPassedError("✗ NOT YET: minimum.loads")
    assert isinstance(error, AssertionError)
    assert error._render_traceback_() == ["✗ NOT YET: minimum.loads"]


def test_the_project_is_observed_once_for_all_cells(checks: Checks, project: Path, observer: Observer) -> None:
    checks.check("minimum.loads")
    for _ in range(2):
        with pytest.raises(NotPassedError):
            checks.check("minimum.runs")
    assert observer.calls == [(project, "default", "visible")]


def test_a_changed_file_is_observed_anew_and_its_old_text_is_remembered(
    checks: Checks, project: Path, observer: Observer
) -> None:
    checks.check("minimum.loads")
    write(project, {"minimum.loads": "not_yet"})
    with pytest.raises(NotPassedError):
        checks.check("minimum.loads")
    write(project, {"minimum.loads": "pass", "minimum.runs": "not_yet"})
    checks.check("minimum.loads")
    assert len(observer.calls) == 2


def test_a_failure_of_ours_is_not_the_students(
    checks: Checks, project: Path, observer: Observer, capfd: pytest.CaptureFixture[str]
) -> None:
    observer.failure = CourseError("Postgres did not start.")
    with pytest.raises(CouldNotCheckError, match="COULD NOT CHECK"):
        checks.check("minimum.loads")
    out, _ = capfd.readouterr()
    assert "Postgres did not start." in out
    assert "not yours" in out


def test_a_failure_of_ours_is_tried_again_by_the_same_cell_only(
    checks: Checks, project: Path, observer: Observer
) -> None:
    observer.failure = CourseError("Postgres did not start.")
    for check in ("minimum.loads", "minimum.runs"):
        with pytest.raises(NotPassedError):
            checks.check(check)
    assert len(observer.calls) == 1
    observer.failure = None
    checks.check("minimum.loads")
    assert len(observer.calls) == 2


def test_a_mistake_in_our_rules_is_not_the_students(
    observer: Observer, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(evidence: dict[str, Any]) -> Sequence[Verdict]:
        raise KeyError("runs")

    with pytest.raises(NotPassedError, match="COULD NOT CHECK"):
        Checks(observer, broken, COURSE).check("minimum.loads")
    assert "The checker broke: KeyError: 'runs'." in capfd.readouterr().out


def test_a_check_without_a_verdict_could_not_be_checked(checks: Checks, project: Path) -> None:
    write(project, {"minimum.loads": "pass"})
    with pytest.raises(NotPassedError, match="COULD NOT CHECK"):
        checks.check("minimum.runs")


def test_a_hint_is_printed(checks: Checks, capfd: pytest.CaptureFixture[str]) -> None:
    checks.hint("minimum.loads", 2)
    assert capfd.readouterr().out.splitlines()[:2] == ["Hint 2 of 3 for minimum.loads", "b"]


def test_whose_project_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "autograded" / "ada" / "homework"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.delenv("AIRFLOW_STUDENT", raising=False)
    monkeypatch.setattr(cells, "DESK", tmp_path / "notebook.json")
    assert student_name() == "default"
    monkeypatch.setenv("AIRFLOW_STUDENT", "")
    assert student_name() == "default"
    (tmp_path / "notebook.json").write_text('{"AIRFLOW_STUDENT": "linus"}')  # another editor than JupyterLab
    assert student_name() == "linus"
    monkeypatch.setenv("AIRFLOW_STUDENT", "grace")
    assert student_name() == "grace"
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    assert student_name() == "grace"
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert student_name() == "ada"


def test_importing_it_brings_nothing_heavy() -> None:
    program = "import sys, autograder.cells; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "autograder.manifest" in loaded
    assert not {"airflow", "pandas", "nbgrader", "jupytext", "sqlalchemy", "pyarrow", "psycopg"} & set(loaded)
