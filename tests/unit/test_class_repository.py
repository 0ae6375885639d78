"""The class repository of chapter 8: who is asked, and what the server refuses."""

from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.teaching.class_repository import (
    CLONE,
    ORIGIN,
    classmates,
    git,
    main_commit,
    make_class_repository,
    merge,
    reviewers,
)

OWNERS = """
# A comment
*           @teacher
/dags/ada/  @ada @teacher  # a comment
/CODEOWNERS @head
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_class_repository("ada")


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("dags/ada/a.py", ["@ada", "@teacher"]),
        ("dags/ada/deep/a.py", ["@ada", "@teacher"]),
        ("dags/adam/a.py", ["@teacher"]),
        ("include/dags/ada/a.py", ["@teacher"]),
        ("CODEOWNERS", ["@head"]),
    ],
)
def test_the_last_line_that_fits_says_who_is_asked(file: str, asked: list[str]) -> None:
    assert reviewers(OWNERS, file) == asked


@pytest.mark.parametrize("student", ["ada", "grace", "linus"])
def test_a_student_is_not_their_own_classmate(student: str) -> None:
    assert len(classmates(student)) == 2
    assert student not in classmates(student)


def test_main_is_protected(clone: Path) -> None:
    before = main_commit()
    git("commit", "--allow-empty", "-m", "straight to main", folder=clone)
    with pytest.raises(CourseError, match="main is protected"):
        git("push", "origin", "main", folder=clone)
    assert main_commit() == before


def test_what_was_not_checked_is_not_merged(clone: Path) -> None:
    _push(clone, "change")
    before = main_commit()
    with pytest.raises(CourseError, match="The check has not passed on change"):
        merge("change")
    assert main_commit() == before


def test_a_merge_brings_the_clone_up_to_date(clone: Path) -> None:
    _push(clone, "change")
    assert merge("change", even_so=True) == main_commit() == git("rev-parse", "HEAD", folder=clone)
    assert git("branch", "--show-current", folder=clone) == "main"


def test_a_branch_that_was_not_pushed_is_told(clone: Path) -> None:
    git("switch", "-c", "mine", folder=clone)
    with pytest.raises(CourseError, match="The server has no branch 'mine'"):
        merge("mine")


def test_making_it_again_begins_again(clone: Path) -> None:
    _push(clone, "change")
    make_class_repository("ada")
    assert git("branch", "--format=%(refname:short)", folder=ORIGIN) == "main"
    assert git("log", "--format=%s", folder=CLONE) == "The class repository"


def test_no_repository_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match="There is no class repository here"):
        main_commit()


def _push(clone: Path, branch: str) -> None:
    git("switch", "-c", branch, folder=clone)
    git("commit", "--allow-empty", "-m", branch, folder=clone)
    git("push", "origin", branch, folder=clone)
