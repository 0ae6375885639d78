"""Does stock nbgrader, with this clone's settings, give each submission what it earned?"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograder.errors import CourseError
from autograder.grading import Grade, grade
from autograder.grading.course_folder import CourseFolder
from tests.integration.tiny_course import ANSWER, ASSIGNMENT, COURSE, write_source

pytestmark = pytest.mark.integration

NOTEBOOK = f"{ASSIGNMENT}.ipynb"


def answered(release: Path, into: Path, answer: str, change: Callable[[Any], None] = lambda notebook: None) -> Path:
    """Write the release notebook with the solution cell filled in, and changed in other ways."""
    notebook = nbformat.read(release / NOTEBOOK, as_version=4)
    notebook.cells[1].source = answer
    change(notebook)
    nbformat.write(notebook, into)
    return into


def passing(*checks: str) -> str:
    return json.dumps({"passed": checks})


def delete_last(notebook: Any) -> None:
    del notebook.cells[-1]


def warn_in_every_cell(notebook: Any) -> None:
    notebook.cells[1:1] = [
        nbformat.v4.new_code_cell(
            "import warnings\n"
            "get_ipython().events.register('pre_run_cell', lambda info: warnings.warn('old', FutureWarning))"
        )
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def release(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return CourseFolder.make(tmp_path_factory.mktemp("release"), source).release


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="module")
def grades(source: Path, release: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grade]:
    """Grade one class."""
    handed_in = tmp_path_factory.mktemp("handed_in")
    both = passing("minimum.loads", "target.rows")
    project = handed_in / "project"
    (project / "dags").mkdir(parents=True)
    (project / "dags" / "dag.py").write_text(both)
    return grade(
        {
            "reference": source / NOTEBOOK,
            "starter": release / NOTEBOOK,
            "half": answered(release, handed_in / "half.ipynb", ANSWER + passing("minimum.loads")),
            "project": project,
            "warns": answered(release, handed_in / "warns.ipynb", ANSWER + both, warn_in_every_cell),
            "deleted": answered(release, handed_in / "deleted.ipynb", ANSWER + both, delete_last),
            "unchecked": answered(release, handed_in / "unchecked.ipynb", ANSWER + json.dumps({"broken": True})),
        },
        folder,
        source=source,
        course=COURSE,
    )


@pytest.mark.parametrize(
    ("student", "minimum", "target"),
    [
        ("reference", 2, 3),
        ("starter", 0, 0),
        ("half", 2, 0),
        ("project", 2, 3),
        ("warns", 2, 3),
        ("deleted", 2, 3),
        ("unchecked", 0, 0),
    ],
)
def test_each_submission_gets_what_it_earned(
    grades: dict[str, Grade], student: str, minimum: float, target: float
) -> None:
    graded = grades[student]
    assert graded.tiers == {"minimum": (minimum, 2), "target": (target, 3)}
    assert (graded.score, graded.max_score) == (minimum + target, 5)
    assert [(check.id, check.score) for check in graded.checks] == [
        ("minimum.loads", minimum),
        ("target.rows", target),
    ]


def test_what_could_not_be_checked_is_for_a_person_to_grade(grades: dict[str, Grade]) -> None:
    assert {student: {check.unchecked for check in one.checks} for student, one in grades.items()} == {
        student: {student == "unchecked"} for student in grades
    }


def test_a_submission_is_observed_once_and_under_its_own_name(grades: dict[str, Grade], folder: Path) -> None:
    for student in grades:
        observed = folder / "autograded" / student / ASSIGNMENT / "observed.txt"
        assert observed.read_text() == f"{student}\n"


def test_grade_cells_keep_stderr_clean_and_show_one_line_for_an_error(grades: dict[str, Grade], folder: Path) -> None:
    graded = nbformat.read(folder / "autograded" / "half" / ASSIGNMENT / NOTEBOOK, as_version=4)
    passed, failed = graded.cells[-2:]
    *streams, error = failed.outputs
    assert {output.get("name") for output in [*passed.outputs, *streams]} == {"stdout"}
    assert error.traceback == ["✗ NOT YET: target.rows. What to do is told above."]


def test_the_feedback_is_kept_and_tells_what_to_do(grades: dict[str, Grade]) -> None:
    page = grades["half"].feedback.read_text(encoding="utf-8")
    assert "NOT YET" in page
    assert "target.rows" in page


def test_what_the_teacher_left_in_source_is_not_released(release: Path) -> None:
    assert [path.name for path in release.rglob("*") if path.is_file()] == [NOTEBOOK]


def test_what_the_teacher_left_in_source_does_not_replace_the_students(grades: dict[str, Grade], folder: Path) -> None:
    dag = folder / "autograded" / "project" / ASSIGNMENT / "dags" / "dag.py"
    assert dag.read_text() == passing("minimum.loads", "target.rows")


def test_a_submission_that_nbgrader_cannot_grade_is_named_and_the_others_are_graded(
    source: Path, release: Path, tmp_path: Path
) -> None:
    crash = answered(release, tmp_path / "crash.ipynb", "import os; os._exit(1)")
    with pytest.raises(CourseError) as caught:
        grade({"crash": crash, "starter": release / NOTEBOOK}, tmp_path / "course", source=source, course=COURSE)
    assert "autograde of crash" in caught.value.what
    assert caught.value.where == str(tmp_path / "course" / "logs" / "crash-autograde.log")
    assert "DeadKernelError" in Path(caught.value.where).read_text()
    assert (tmp_path / "course" / "autograded" / "starter" / ASSIGNMENT / NOTEBOOK).is_file()


def test_what_is_neither_notebook_nor_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CourseError, match="handed in neither") as caught:
        CourseFolder(tmp_path / "course", ASSIGNMENT).submit("ada", tmp_path / "nothing")
    assert caught.value.exit_code == 1


def test_a_folder_with_something_in_it_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "gradebook.db").write_text("last year's")
    with pytest.raises(CourseError, match="something in the folder"):
        grade({"ada": source / NOTEBOOK}, tmp_path, source=source, course=COURSE)
    assert [path.name for path in tmp_path.iterdir()] == ["gradebook.db"]


@pytest.mark.parametrize("name", ["../ada", "a b", "", "*", "-ada"])
def test_a_name_that_is_no_folder_is_refused(source: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(CourseError, match="cannot be a student's name"):
        grade({name: source}, tmp_path / "course", source=source, course=COURSE)
