"""`./course run`, whole: what it writes, and that nothing is left of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local.session import members
from autograder.paths import ROOT, STATE

pytestmark = pytest.mark.integration

REAL_FILES = ROOT.parent / "shared" / "data" / "tlc"
"""Real TLC files beside the clone, where somebody put them."""

MONTHS = [f"2024-{month:02d}" for month in range(1, 8)]


@pytest.fixture(scope="module")
def left_over() -> set[Path]:
    """Sessions that were there before, such as that of an open JupyterLab."""
    return set((STATE / "run").glob("*"))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, left_over: set[Path]) -> dict[str, Any]:
    written = tmp_path_factory.mktemp("run") / "run.json"
    data = ["--data", str(REAL_FILES)] if REAL_FILES.is_dir() else []
    before = _files()
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "run", *data, "--json", str(written)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert "The second backfill changed nothing." in done.stdout
    assert _files() == before, "the main job changed files of the clone"
    found: dict[str, Any] = json.loads(written.read_text())
    return found


def test_seven_green_backfill_runs(result: dict[str, Any]) -> None:
    assert [(run["logical_date"][:7], run["run_type"], run["state"]) for run in result["runs"]] == [
        (month, "backfill", "success") for month in MONTHS
    ]


def test_each_month_holds_its_own_rows_after_both_backfills(result: dict[str, Any]) -> None:
    for run in result["runs"]:
        assert run["source_rows"] > run["in_month_rows"] > 0
        rows = {run[key] for key in ("raw_rows", "fct_rows", "raw_rows_again", "fct_rows_again")}
        assert rows == {run["in_month_rows"]}
    assert result["rerun_identical"] is True


def test_the_real_january_is_whole(result: dict[str, Any]) -> None:
    if not REAL_FILES.is_dir():
        pytest.skip("no real TLC files beside the clone")
    january = result["runs"][0]
    assert (january["source_rows"], january["raw_rows"], january["fct_rows"]) == (56551, 56549, 56549)
    assert january["raw_rows_again"] == 56549


def test_reference_full_and_starter_nothing(result: dict[str, Any]) -> None:
    reference, starter = result["grades"]["reference"], result["grades"]["starter"]
    assert reference["score"] == reference["max_score"] > 0
    assert all(tier["score"] == tier["max_score"] > 0 for tier in reference["tiers"].values())
    assert starter["score"] == 0
    assert starter["max_score"] == reference["max_score"]


def test_seconds_add_up(result: dict[str, Any]) -> None:
    seconds = dict(result["seconds"])
    total = seconds.pop("total")
    assert sum(seconds.values()) <= total + 0.5


def test_nothing_is_left(result: dict[str, Any], left_over: set[Path]) -> None:
    assert {folder for folder in (STATE / "run").glob("*") if members(folder)} <= left_over
    assert set((STATE / "run").glob("*")) <= left_over


def _files() -> dict[Path, int]:
    """Return the clone's own files with the time of their last change."""
    folders = ("notebooks", "dags", "source", "release", "include")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return {path: path.stat().st_mtime_ns for path in found if path.is_file() and "__pycache__" not in path.parts}
