"""Does `course grade` grade for real: in sandboxes, from the command line, and again after a kill?"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder.airflow_local.session import MARK
from autograder.paths import ASSIGNMENT, RELEASE, ROOT
from autograder.sandbox import available

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "autograder", "grade"]
WHY = available()
LIMIT_S = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for student in ("ada", "bob"):
        work = tmp_path / "submitted" / student / ASSIGNMENT
        work.mkdir(parents=True)
        notebook = json.loads((RELEASE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb").read_text())
        # Nobody's on record: nobody else has this cell.
        source = f"%%writefile dags/{student}.py\n# {tmp_path.name} {time.time_ns()}\n"
        own: dict[str, Any] = {
            "cell_type": "code",
            "id": "own",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        notebook["cells"].append(own)
        (work / f"{ASSIGNMENT}.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "submitted" / "nil").mkdir()
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    return [*COMMAND, "--submissions", str(folder / "submitted"), "--into", str(folder), *more]


def of_session(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["environ"]) if mark in (one.info["environ"] or {}).get(MARK, "")]


@pytest.mark.skipif(WHY is not None, reason=str(WHY))
def test_a_class_is_graded_in_sandboxes_and_goes_on_after_a_kill(folder: Path) -> None:
    run = subprocess.Popen(command(folder), cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    marks: set[str] = set()
    deadline = time.monotonic() + LIMIT_S
    while not marks and run.poll() is None and time.monotonic() < deadline:  # until it has started something
        for one in psutil.Process(run.pid).children(recursive=True):
            try:
                marks |= {one.environ()[MARK].split(":")[-1]} if MARK in one.environ() else set()
            except psutil.Error:
                continue
    assert run.poll() is None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    session = next(part for part in marks.pop().split(":") if part)
    while of_session(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not of_session(session)
    done = subprocess.run(
        command(folder, "-j", "2", "--json", str(folder / "all.json")), cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=LIMIT_S, env=os.environ | {"MY_SECRET": "hunter2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = {one["student"]: (one["outcome"], one["score"]) for one in json.loads((folder / "all.json").read_text())}
    assert told == {"ada": ("graded", 0), "bob": ("graded", 0), "nil": ("student_error", 0)}
    assert done.stderr.count("✓ graded") == 2
    assert "\x1b" not in done.stderr + done.stdout
    assert (folder / "grades.csv").read_text().count("\n") == 4


def test_without_bubblewrap_it_refuses_and_says_what_unsafe_means(folder: Path) -> None:
    bare = folder / "bin"
    bare.mkdir()
    for program in ("sh", "env"):
        (bare / program).symlink_to(str(shutil.which(program)))
    done = subprocess.run(
        command(folder), cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"PATH": str(bare)}
    )
    assert done.returncode == 2
    assert "no sandbox" in done.stderr
    assert "--unsafe" in done.stderr
    assert not (folder / "graded").exists()
