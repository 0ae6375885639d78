"""Trying tests out on versions of a DAG file: the bugs put in, and pytest's answer."""

import shutil
import sysconfig
from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.teaching import testing

SUM = "def total(numbers):\n    return sum(numbers)\n"
TESTS = """
import os
import sys

sys.path.insert(0, os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
from sums import total


def test_of_two():
    assert total([1, 2]) == 3


def test_of_none():
    assert total([]) == 0
"""


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "sums.py").write_text(SUM)
    (tmp_path / "test_sums.py").write_text(TESTS)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"))
    return str(tmp_path / "test_sums.py")


@pytest.mark.integration  # pytest starts several times
def test_each_version_gets_the_tests_that_it_fails(tests: str) -> None:
    assert shutil.which("pytest")
    shown = testing.try_bugs([tests], "sums.py", {"a maximum": ("sum(", "max("), "a mistype": ("def ", "fed ")})
    rows = [line.split("  ") for line in shown.text.splitlines()]
    assert rows[0] == ["Tests of sums.py: 2 of 2 bugs were found."]
    assert [[part.strip() for part in row if part] for row in rows[3:]] == [
        ["as it is", "✔ all pass", "–"],
        ["a maximum", "✔ 2 of 2 fail", "test_of_two; test_of_none"],
        ["a mistype", "✔ 1 of 1 fail", "test_sums.py (cannot be loaded)"],
    ]


@pytest.mark.integration
def test_a_bug_that_gets_away_is_marked(tests: str) -> None:
    shown = testing.try_bugs([tests], "sums.py", {"another name": ("numbers", "values")})
    assert "0 of 1 bugs were found" in shown.text
    assert "✘ all pass" in shown.text


def test_a_report_names_what_failed_and_what_could_not_be_loaded() -> None:
    report = """<testsuites><testsuite>
        <testcase classname="work.tests.test_a" name="test_one" />
        <testcase classname="work.tests.test_a" name="test_two[1.5]"><failure /></testcase>
        <testcase classname="work.tests.test_a" name="test_three"><error /></testcase>
        <testcase classname="" name="work.tests.test_b"><error /></testcase>
    </testsuite></testsuites>"""
    assert testing.read_report(report) == (4, ("test_two[1.5]", "test_three", "test_b.py (cannot be loaded)"))
    assert testing.read_report("<none/>") == (0, ())


def test_a_bug_needs_its_place(tests: str) -> None:
    with pytest.raises(CourseError, match="no 'maximum'"):
        testing.try_bugs([tests], "sums.py", {"a bug": ("maximum", "minimum")})


@pytest.mark.usefixtures("tests")
def test_a_file_that_is_not_there() -> None:
    with pytest.raises(CourseError, match=r"no dags/other\.py"):
        testing.dag_source("other.py")
