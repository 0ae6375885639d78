"""Does asking another process for evidence give it, or say why not?"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.observe.client import evidence_for

HEAD = """\
import argparse, json, os, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("project")
parser.add_argument("--student")
parser.add_argument("--extent")
parser.add_argument("-o")
told = parser.parse_args()
"""

Program = Callable[[str], list[str]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    def write(body: str) -> list[str]:
        path = tmp_path / "observe.py"
        path.write_text(HEAD + body, encoding="utf-8")
        return [sys.executable, str(path)]

    return write


def test_the_evidence_comes_back_and_the_noise_does_not(
    tmp_path: Path, program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    command = program(
        "print('noise'); print('more noise', file=sys.stderr)\n"
        "seen = {'project': told.project, 'student': told.student, 'extent': told.extent, 'cwd': os.getcwd()}\n"
        "json.dump(seen, open(told.o, 'w'))\n"
    )
    evidence = evidence_for(tmp_path, "ada", "visible", command=command)
    assert evidence["project"] == str(tmp_path.resolve())
    assert (evidence["student"], evidence["extent"]) == ("ada", "visible")
    assert evidence["cwd"] != str(tmp_path), "a student's folder could hold a module of any name"
    assert capfd.readouterr() == ("", "")


def test_a_failed_observation_is_an_error_that_says_what_was_said(tmp_path: Path, program: Program) -> None:
    with pytest.raises(CourseError, match="The disk is full"):
        evidence_for(tmp_path, "ada", command=program("sys.exit('The disk is full.')"))


def test_an_observation_that_takes_too_long_is_an_error(tmp_path: Path, program: Program) -> None:
    with pytest.raises(CourseError, match="longer than 0 seconds"):
        evidence_for(tmp_path, "ada", command=program("time.sleep(60)"), limit_s=0.05)


def test_a_grandchild_that_stays_does_not_hold_us(tmp_path: Path, program: Program) -> None:
    command = program(
        "import subprocess\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "json.dump({'left': left.pid}, open(told.o, 'w'))\n"
    )
    began = time.monotonic()
    left = evidence_for(tmp_path, "ada", command=command)["left"]
    os.kill(left, 9)
    assert time.monotonic() - began < 30
