"""Is the manifest whole, and does a mistake in it get named with its line?"""

from pathlib import Path

import pytest

from autograder.checks.rules import RULES
from autograder.errors import CourseError
from autograder.manifest import Course, load
from autograder.paths import ASSIGNMENT, ROOT

GOOD = """\
title: A course
chapters:
  - {id: "01", file: notebooks/01.ipynb, title: One, minutes: 10}
assignment: homework
tiers:
  - {id: minimum, title: Minimum}
checks:
  - id: minimum.it-works
    points: 2
    title: It works.
    looked_at: The thing.
    chapter: "01"
    hints: [a, b, c]
pass_points: 1
"""


def read(tmp_path: Path, text: str) -> Course:
    path = tmp_path / "course.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_every_part_of_a_manifest_is_read(tmp_path: Path) -> None:
    course = read(tmp_path, GOOD)
    (check,) = course.checks
    assert (course.title, course.assignment) == ("A course", "homework")
    assert (check.tier, check.points, check.chapter.title, check.hints) == ("minimum", 2, "One", ("a", "b", "c"))
    assert check.grade_id == "minimum-it-works"
    assert (check.file, check.visible, course.pass_points) == ("dags/taxi_pipeline.py", False, 1)
    assert course.check("minimum.it-works") is check
    assert course.checks_of("minimum") == (check,)


@pytest.mark.parametrize(
    ("good", "bad", "line", "what"),
    [
        ("points: 2", "point: 2", 9, "unknown key 'point'"),
        ("    points: 2\n", "", 8, "the key 'points' is missing"),
        ("points: 2", "points: 0", 9, "it should be 1 or more"),
        ("points: 2", "points: two", 9, "points should be a whole number"),
        ("points: 2", "points: 2\n    points: 3", 10, "the key 'points' is there twice"),
        ("title: It works.", "title:", 10, "title should be a text"),
        ("id: minimum.it-works", "id: extra.it-works", 8, "'extra.it-works' is not a tier's id"),
        ("id: minimum.it-works", "id: minimum.It_Works", 8, "'minimum.It_Works' is not"),
        ('chapter: "01"', 'chapter: "02"', 12, "there is no chapter '02'"),
        ("hints: [a, b, c]", "hints: [a, b]", 13, "has 2 hints; every check has 3"),
        ("hints: [a, b, c]", "hints: none", 13, "hints should be a list"),
        ("  - {id: minimum, title: Minimum}", "  - {id: minimum, title: M}\n  - {id: minimum, title: M}", 7, "twice"),
        ("title: A course", "title: [A course", 2, "expected"),
        ("pass_points: 1", "pass_points: 3", 14, "3 is not within the 2 points of all checks"),
        ("points: 2", "visible: 1\n    points: 2", 9, "visible should be true or false"),
        (GOOD, "", 1, "the file is empty"),
        (GOOD, "- a\n", 1, "should be keys with values"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, good: str, bad: str, line: int, what: str) -> None:
    assert good in GOOD
    with pytest.raises(CourseError) as caught:
        read(tmp_path, GOOD.replace(good, bad, 1))
    assert what in caught.value.what
    assert caught.value.where == f"{tmp_path / 'course.yaml'}:{line}"


def test_a_missing_manifest_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CourseError) as caught:
        load(tmp_path / "course.yaml")
    assert caught.value.where == str(tmp_path / "course.yaml")


def test_an_unknown_check_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CourseError) as caught:
        read(tmp_path, GOOD).check("minimum.it-work")
    assert "minimum.it-works" in caught.value.todo


def test_the_course_is_the_assignment_that_the_program_grades() -> None:
    course = load()
    assert course.assignment == ASSIGNMENT
    assert [tier.id for tier in course.tiers] == ["minimum", "target", "stretch"]
    assert all(course.checks_of(tier.id) for tier in course.tiers)


def test_what_is_visible_builds_on_nothing_that_is_hidden() -> None:
    course = load()
    visible = {check.id for check in course.checks if check.visible}
    assert all(set(RULES[check].needs) <= visible for check in visible)
    assert len(visible) == 8


def test_the_tiers_points_are_those_of_the_syllabus() -> None:
    course = load()
    points = {tier.id: sum(check.points for check in course.checks_of(tier.id)) for tier in course.tiers}
    assert points == {"minimum": 60, "target": 30, "stretch": 10}
    assert course.pass_points == 60


def test_every_text_is_a_chapter() -> None:
    files = {(ROOT / chapter.file).with_suffix(".md") for chapter in load().chapters}
    assert set((ROOT / "notebooks").glob("*.md")) <= files
