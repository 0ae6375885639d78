"""Does `course check --watch` answer each save, in one session, and end cleanly?"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from autograder.observe.project import write_project
from autograder.paths import ASSIGNMENT, ROOT, SOURCE

pytestmark = pytest.mark.integration

LIMIT_S = 120


def until(holds: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def test_each_save_is_answered_and_nothing_is_left(tmp_path: Path) -> None:
    project = write_project(SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", tmp_path / "project")
    dag = project / "dags" / "taxi_pipeline.py"
    good = dag.read_text()
    dag.write_text(good + "def (\n")
    said = tmp_path / "said.txt"
    command = [sys.executable, "-u", "-m", "autograder", "check", "minimum.dag-loads", "--watch"]
    with said.open("w") as output:
        watching = subprocess.Popen(
            [*command, "--folder", str(project)], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "AIRFLOW_STUDENT": "ada"}, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "Waiting for a file" in said.read_text(), said.read_text)
        assert "SyntaxError in line" in said.read_text()
        started = psutil.Process(watching.pid).children(recursive=True)
        dag.write_text(good)
        until(lambda: "PASS · minimum.dag-loads" in said.read_text(), said.read_text)
        until(lambda: said.read_text().rstrip().endswith("Stop with Ctrl-C."), said.read_text)
        assert said.read_text().count("PASS") == 1, "a save is answered once"
        # A test file in a folder that was not there is seen too.
        shown = said.read_text().count("PASS")
        (project / "include" / "sql").mkdir()
        (project / "include" / "sql" / "load.sql").write_text("SELECT 1")
        until(lambda: said.read_text().count("PASS") > shown, said.read_text)
        until(lambda: said.read_text().rstrip().endswith("Stop with Ctrl-C."), said.read_text)
    finally:
        watching.send_signal(signal.SIGTERM)
        code = watching.wait(LIMIT_S)
    assert code in (0, 128 + signal.SIGTERM), said.read_text()
    assert "Traceback" not in said.read_text()
    assert started
    # An orphan is there until the system's first process has taken note of its end.
    until(lambda: not any(process.is_running() for process in started), lambda: f"left running: {started}")
