"""Every chapter, as a student would run it: top to bottom, every starter failing and every solution passing."""

import pytest

from autograder.build.content import disagreements
from autograder.headless import Result, run_notebooks
from autograder.manifest import load
from autograder.paths import ROOT

pytestmark = pytest.mark.integration

CHAPTERS = [chapter.id for chapter in load().chapters if (ROOT / chapter.file).is_file()]


def test_manifest_and_disk_agree() -> None:
    assert disagreements(ROOT, load()) == []


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {one.chapter: one for one in run_notebooks([])}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_runs_and_its_exercises_are_sound(results: dict[str, Result], chapter: str) -> None:
    one = results[chapter]
    assert one.error == "", f"{one.error}\nSee {one.executed}"
    assert one.exercises >= 2
