"""Whole submissions that attack the observer or use up what there is: tests/submissions/hostile/, one DAG file each."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local import local
from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.errors import CourseError
from autograder.observe.observation import Observation
from autograder.paths import ROOT
from autograder.sandbox import Ended, Limits, Sandbox, available

HOSTILE = ROOT / "tests" / "submissions" / "hostile"

pytestmark = pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}")


@pytest.fixture(scope="module")
def shared(without_secrets: None) -> Iterator[Shared]:
    with Session.open() as session:
        yield Shared.start(session)


def observe(shared: Shared, folder: Path, name: str, *wanted: str, limits: Limits | None = None) -> dict[str, Any]:
    """Observe a submission in a sandbox, which may end it."""
    (folder / "dags").mkdir()
    (folder / "include" / "dbt_project").mkdir(parents=True)
    shutil.copy(HOSTILE / f"{name}.py", folder / "dags" / "taxi_pipeline.py")
    with Sandbox(limits or Limits(seconds=200)) as sandbox:
        try:
            return Observation(shared, folder, "mallory", name, lambda _: sandbox.check(), sandbox).run(
                wanted, "hostile"
            )
        finally:
            sandbox.check()


def test_each_says_what_it_tries_what_holds_it_and_what_is_seen() -> None:
    for path in HOSTILE.glob("*.py"):
        if path.stem != "probes":
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert [line.partition(":")[0] for line in text.split("\n") if ":" in line][:1] == ["Tries"], path
            assert "\nHeld by: " in text, path
            assert "\nSeen: " in text, path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("says_nonsense", "ended the process that imported it"),
        ("floods_the_observer", "more in it than can be described"),
    ],
)
def test_a_description_is_not_believed(shared: Shared, tmp_path: Path, name: str, why: str) -> None:
    parsed = observe(shared, tmp_path, name, "parse")["parsed"]
    assert parsed["dags"] == {}
    assert why in parsed["import_errors"][0]["text"]


def test_pipes_do_not_hold_the_observer_up(shared: Shared, tmp_path: Path) -> None:
    seen = observe(shared, tmp_path, "leaves_pipes", "parse", "january")
    assert [run["state"] for run in seen["january"]["runs"]] == ["success"]


@pytest.mark.parametrize("held", [True, False])
def test_no_task_id_leads_out_of_the_logs(
    shared: Shared, tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path("/tmp/course-escaped")  # as the DAG file has it
    shutil.rmtree(outside, ignore_errors=True)
    if not held:  # the control: Airflow as it is
        monkeypatch.delitem(local.GRADED, "AIRFLOW__LOGGING__LOG_FILENAME_TEMPLATE")
    try:
        seen = observe(shared, tmp_path, "writes_outside_the_logs", "parse", "january")
        assert [run["state"] for run in seen["january"]["runs"]] == ["success"]
        assert outside.exists() is not held
    finally:
        shutil.rmtree(outside, ignore_errors=True)


@pytest.mark.parametrize(
    ("name", "limits", "outcome", "why"),
    [
        ("floods_its_log", Limits(logs_mb=20), "student_error", "MiB of logs; 20 MiB"),
        pytest.param("takes_all_memory", Limits(memory_mb=2000), "out_of_memory", "2000 MiB", marks=pytest.mark.slow),
    ],
)
def test_a_bomb_ends_its_submission_and_nothing_else(
    shared: Shared, tmp_path: Path, name: str, limits: Limits, outcome: str, why: str
) -> None:
    with pytest.raises(Ended) as ended:
        observe(shared, tmp_path, name, "parse", "january", limits=limits)
    assert (ended.value.outcome, why in ended.value.reason) == (outcome, True), ended.value.reason
    (tmp_path / "next").mkdir()
    seen = observe(shared, tmp_path / "next", "leaves_pipes", "parse", "january")
    assert [run["state"] for run in seen["january"]["runs"]] == ["success"]


@pytest.mark.slow
def test_a_supervisor_that_is_filled_takes_nobody_with_it(shared: Shared, tmp_path: Path) -> None:
    seen = observe(shared, tmp_path, "fills_its_supervisor", "parse", "january", "manual_run", "other_month")
    assert [run["state"] for run in seen["january"]["runs"]] == ["failed"]


@pytest.mark.slow
def test_a_perfect_description_of_no_dag_brings_no_run(shared: Shared, tmp_path: Path) -> None:
    parsed = observe(shared, tmp_path, "describes_another_dag", "parse")["parsed"]
    assert parsed["dags"]["taxi_pipeline"]["schedule"] == "@monthly"  # so far it succeeds
    (tmp_path / "again").mkdir()
    # Airflow has no such DAG: that cannot be told from a fault of ours, and a teacher is told of it.
    with pytest.raises(CourseError, match="taxi_pipeline was not found"):
        observe(shared, tmp_path / "again", "describes_another_dag", "parse", "january")
