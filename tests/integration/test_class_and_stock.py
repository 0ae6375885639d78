"""Does stock `nbgrader autograde` give a class the points that `course grade` gives, and read the same gradebook?"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.grading import CheckGrade, grade
from autograder.grading.gradebook import COURSE_ID
from autograder.grading.realign import read_notebook
from autograder.grading.submissions import handed_in, lay_out
from autograder.manifest import load
from autograder.observe import evidence
from autograder.paths import RELEASE, STATE
from tests import class_of_recordings, record
from tests.class_of_recordings import Recordings
from tests.corpus import SUBMISSIONS

pytestmark = pytest.mark.integration

ASSIGNMENT = load().assignment
CLASS = ("reference", "starter", "append")


@pytest.fixture
def submitted(tmp_path: Path) -> Iterator[Path]:
    """Hand a class in, and put its evidence where nbgrader's cells look for what was observed."""
    folder = tmp_path / "class" / "submitted"
    for name in CLASS:
        path = folder / name / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(SUBMISSIONS[name].notebook()))
    release, _ = read_notebook(RELEASE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb")
    placed = []
    try:
        for one in handed_in(folder):
            project = lay_out(one, tmp_path / "laid-out" / one.student, release).project
            placed.append(STATE / "evidence" / f"{evidence.digest(project, one.student)}.json")
            placed[-1].parent.mkdir(parents=True, exist_ok=True)
            placed[-1].write_text(json.dumps(record.read(one.student)["evidence"]))
        yield folder
    finally:
        for path in placed:
            path.unlink(missing_ok=True)


def test_stock_nbgrader_gives_the_same_points(submitted: Path, tmp_path: Path) -> None:
    ours = class_of_recordings.grade(submitted.parent, Recordings(tmp_path / "count"))
    known = set((STATE / "evidence").iterdir())
    notebooks = {name: submitted / name / ASSIGNMENT / f"{ASSIGNMENT}.ipynb" for name in CLASS}
    stock = grade(notebooks, tmp_path / "stock")
    assert set((STATE / "evidence").iterdir()) == known, "nbgrader's cells looked for other evidence"
    for name in CLASS:
        assert stock[name].score == ours[name]["score"]
        assert stock[name].max_score == ours[name]["max_score"]
        assert stock[name].checks == tuple(
            CheckGrade(one["id"], one["id"].partition(".")[0], one["earned"], one["points"])
            for one in ours[name]["checks"]
        )
    assert ours["reference"]["score"] == 100
    assert ours["starter"]["score"] == 0
    assert 0 < ours["append"]["score"] < 100

    def listed(folder: Path) -> dict[str, tuple[float, float, bool, bool]]:
        """Return what formgrader's list shows."""
        with Gradebook(f"sqlite:///{folder}/gradebook.db", COURSE_ID) as book:
            return {
                one["student"]: (one["score"], one["max_score"], one["needs_manual_grade"], one["failed_tests"])
                for one in book.notebook_submission_dicts(ASSIGNMENT, ASSIGNMENT)
            }

    assert listed(submitted.parent) == listed(tmp_path / "stock")
