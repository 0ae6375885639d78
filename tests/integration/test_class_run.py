"""Is a class graded whole, whatever its students' work and whoever kills it?"""

import dataclasses
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from autograder.checks import judge
from autograder.errors import CourseError
from autograder.grading import pages
from autograder.grading.class_run import grade_class
from autograder.grading.gradebook import COURSE_ID
from autograder.grading.records import ClassFolder, Record
from autograder.grading.sheets import sheets
from autograder.manifest import load
from autograder.paths import ROOT
from tests import class_of_recordings, record
from tests.class_of_recordings import WAYS, Recordings, hand_in

pytestmark = pytest.mark.integration

ASSIGNMENT = load().assignment
CLASS = ("reference", "starter", "append")


def points(folder: Path) -> dict[str, dict[str, tuple[float | None, bool]]]:
    """Return what the gradebook has: each student's points, and whether they are to be given by hand."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db", COURSE_ID) as book:
        return {
            submission.student.id: {
                one.name: (one.auto_score, one.needs_manual_grade) for one in submission.notebooks[0].grades
            }
            for submission in book.assignment_submissions(ASSIGNMENT)
        }


def should_be(name: str) -> dict[str, tuple[float | None, bool]]:
    course = load()
    return {
        course.check(one.id).grade_id: (float(one.earned), False)
        for one in judge(record.read(name)["evidence"], course)
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hand_in(tmp_path / "submitted", CLASS)
    return tmp_path


def test_a_class_is_graded_once_and_everything_agrees(folder: Path) -> None:
    observer = Recordings(folder / "count")
    environment = dict(os.environ)
    first = class_of_recordings.grade(folder, observer)
    assert dict(os.environ) == environment
    assert {name: one["outcome"] for name, one in first.items()} == dict.fromkeys(CLASS, "graded")
    assert points(folder) == {name: should_be(name) for name in CLASS}
    sheet = (folder / "grades.csv").read_text()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert class_of_recordings.grade(folder, observer) == first
    assert sorted(observer.observed()) == sorted(CLASS)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
    assert sheet == sheets(list(first.values()), load())["grades.csv"]
    for name, one in first.items():
        document = json.loads((folder / "graded" / f"{name}.json").read_text())
        assert document == one
        assert json.loads((folder / one["evidence"]).read_text()) == record.read(name)["evidence"]
        assert sum(tier["earned"] for tier in one["tiers"].values()) == one["score"]
        assert (folder / "autograded" / name / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").is_file()
        assert f"Feedback for {name}" in (folder / "feedback" / name / ASSIGNMENT / "feedback.html").read_text()
    assert "| 2024-01 |" in (folder / "graded" / "code" / "reference.md").read_text()
    told = pages.write_report(ClassFolder(folder), load())
    assert (told["students"], set(told["grid"])) == (len(CLASS), set(CLASS))


def test_no_student_stops_the_class_and_no_fault_becomes_a_grade(folder: Path) -> None:
    hand_in(folder / "submitted", WAYS)
    (folder / "submitted" / "nothing").mkdir()
    observer = Recordings(folder / "count", limit_s=-112)
    graded = class_of_recordings.grade(folder, observer)
    assert {name: (one["outcome"], one["score"] is None) for name, one in graded.items()} == {
        **dict.fromkeys(CLASS, ("graded", False)),
        "dies": ("grader_fault", True),
        "hangs": ("timeout", False),
        "fails": ("grader_fault", True),
        "fails-once": ("graded", False),
        "too-large": ("out_of_memory", False),
        "nothing": ("student_error", False),
    }
    tries = observer.observed()
    assert {name: tries.count(name) for name in (*WAYS, "reference")} == {
        "dies": 2, "hangs": 1, "fails": 2, "fails-once": 2, "too-large": 1, "reference": 1
    }  # fmt: skip
    assert "Postgres did not start." in (folder / "graded" / "logs" / "fails.log").read_text()
    found = points(folder)
    assert set(found["fails"].values()) == {(None, True)}
    assert set(found["too-large"].values()) == {(0.0, False)}
    # What ended is not run again; what was our fault is.
    class_of_recordings.grade(folder, observer)
    again = observer.observed()[len(tries) :]
    assert sorted(again) == ["dies", "dies", "fails", "fails"]


def test_manual_marks_survive_and_a_resubmission_replaces_points(folder: Path) -> None:
    observer = Recordings(folder / "count")
    class_of_recordings.grade(folder, observer)
    name = "minimum-runbook"
    with Gradebook(f"sqlite:///{folder}/gradebook.db", COURSE_ID) as book:
        grade = book.find_grade(name, ASSIGNMENT, ASSIGNMENT, "append")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 3.0, 1.0, False
        book.find_comment("runbook", ASSIGNMENT, ASSIGNMENT, "append").manual_comment = "Well told."
        book.db.commit()
    class_of_recordings.grade(folder, observer)
    assert points(folder)["append"] == should_be("append")
    (folder / "submitted" / "append").rename(folder / "old")
    hand_in(folder, ["starter"])
    (folder / "starter").rename(folder / "submitted" / "append")
    graded = class_of_recordings.grade(folder, _Resubmitted(folder / "count"))
    assert graded["append"]["score"] == graded["starter"]["score"]
    with Gradebook(f"sqlite:///{folder}/gradebook.db", COURSE_ID) as book:
        grade = book.find_grade(name, ASSIGNMENT, ASSIGNMENT, "append")
        assert (grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade) == (0, 3, 1, True)
        assert book.find_comment("runbook", ASSIGNMENT, ASSIGNMENT, "append").manual_comment == "Well told."
    assert {one: value for one, (value, _) in points(folder)["append"].items()} == {
        one: value for one, (value, _) in should_be("starter").items()
    }


def test_the_report_is_of_those_who_are_still_there(folder: Path) -> None:
    observer = Recordings(folder / "count")
    hand_in(folder / "submitted", ["append.twin"])
    class_of_recordings.grade(folder, observer)
    twins = ["append", "append.twin"]
    assert twins in [pair["students"] for pair in pages.write_report(ClassFolder(folder), load())["alike"]]
    (folder / "submitted" / "append.twin").rename(folder / "late")
    told = pages.write_report(ClassFolder(folder), load())
    assert twins not in [pair["students"] for pair in told["alike"]]
    assert (told["students"], set(told["grid"])) == (len(CLASS), set(CLASS))
    class_of_recordings.grade(folder, observer)
    assert "append.twin" not in (folder / "report.html").read_text()
    assert "append.twin" in (folder / "grades.csv").read_text()


class _Resubmitted(Recordings):
    def observe(self, project: Path, student: str) -> dict[str, Any]:
        return super().observe(project, "starter" if student == "append" else student)


def test_other_points_start_nothing(folder: Path) -> None:
    observer = Recordings(folder / "count")
    class_of_recordings.grade(folder, observer)
    course = load()
    worth = tuple(dataclasses.replace(one, points=one.points * 2) for one in course.checks)
    graded = class_of_recordings.grade(folder, observer, dataclasses.replace(course, checks=worth))
    assert sorted(observer.observed()) == sorted(CLASS)
    assert (graded["reference"]["score"], graded["reference"]["max_score"]) == (200, 200)
    assert {value for value, _ in points(folder)["reference"].values()} == {float(one.points) for one in worth}
    with Gradebook(f"sqlite:///{folder}/gradebook.db", COURSE_ID) as book:
        assert book.find_submission(ASSIGNMENT, "reference").max_score == 200


def test_what_writers_left_when_they_were_killed_is_swept(folder: Path) -> None:
    for name in (
        ".gradebook.db.12",
        ".gradebook.db.12-journal",
        ".grades.csv.7",
        "graded/.ada.json.9",
        "evidence/.a.json.9",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / ".mine").touch()
    class_of_recordings.grade(folder, Recordings(folder / "count"))
    assert sorted(path.name for path in folder.rglob(".*") if path.is_file()) == [".lock", ".mine"]


@pytest.mark.parametrize("into", ["submitted", "submitted/grades"])
def test_a_class_folder_is_not_among_the_submissions(folder: Path, into: str) -> None:
    with pytest.raises(CourseError, match="taken for a student's work"):
        grade_class(folder / "submitted", folder / into, Recordings(folder / "count"), jobs=1)
    assert sorted(path.name for path in (folder / "submitted").iterdir()) == sorted(CLASS)


def test_a_class_that_is_being_graded_is_left_alone(folder: Path) -> None:
    with ClassFolder(folder).locked(), pytest.raises(CourseError, match=f"process {os.getpid()} on "):
        class_of_recordings.grade(folder, Recordings(folder / "count"))
    assert class_of_recordings.grade(folder, Recordings(folder / "count"))


def killed_at_random(folder: Path, kills: int, seed: int) -> tuple[dict[str, Record], list[str]]:
    """Kill a class run as often as asked, at random moments; then let it end."""
    dice = random.Random(seed)
    command = [sys.executable, "-m", "tests.class_of_recordings", str(folder), "0.3"]
    longest, done = 4.0, 0
    while done < kills:
        run = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        try:
            code = run.wait(dice.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            done += 1
            whole(folder)
        else:
            assert code == 0
            for path in (folder / "graded").glob("*.json"):  # it had ended: there must be something left to kill
                if dice.random() < 0.5:
                    evidence = json.loads(path.read_text())["evidence"]
                    (folder / evidence).unlink()
                    path.unlink()
            if dice.random() < 0.3:
                (folder / "gradebook.db").unlink()
    subprocess.run(command, cwd=ROOT, check=True)
    observer = Recordings(folder / "count")
    before = observer.observed()
    graded = class_of_recordings.grade(folder, observer)
    assert observer.observed() == before
    return graded, before


def whole(folder: Path) -> None:
    """Every file is whole, whenever the run was killed."""
    for path in (folder / "graded").glob("*.json"):
        assert json.loads(path.read_text())["student"] == path.stem
    for path in (folder / "evidence").glob("*.json"):
        json.loads(path.read_text())
    if (folder / "gradebook.db").exists():
        with sqlite3.connect(folder / "gradebook.db") as book:
            assert book.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def check_kills(folder: Path, kills: int) -> None:
    seed = time.time_ns() % 10_000
    print(f"seed {seed}")
    graded, _ = killed_at_random(folder, kills, seed)
    assert {name: one["outcome"] for name, one in graded.items()} == dict.fromkeys(CLASS, "graded")
    assert points(folder) == {name: should_be(name) for name in CLASS}
    assert not [path for path in folder.rglob(".*") if path.is_file() and path.name != ".lock"]


def test_a_class_run_that_is_killed_goes_on_where_it_stopped(folder: Path) -> None:
    check_kills(folder, 5)


@pytest.mark.slow
def test_a_class_run_that_is_killed_a_hundred_times_goes_on_where_it_stopped(folder: Path) -> None:
    check_kills(folder, 100)
