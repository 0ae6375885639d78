"""Programs of a student's, run to their end or to a limit, and what they said.

Contract: `run` starts one where the student's code runs, and ends it with all that it started when it takes too long.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder.airflow_local.airflow import Airflow

LIMIT = 60.0
"""Seconds that a program may take."""

KEPT_OUTPUT = 3000
"""Characters of its output that are kept, from its end."""


def run(airflow: Airflow, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[int | None, str]:
    """Run a program.

    Parameters
    ----------
    airflow
        In whose environment, and sandbox if it has one.
    argv, cwd
        The program and its folder.
    env
        Added to its environment.

    Returns
    -------
    int or None
        Its exit code; None where it did not end in time.
    str
        The end of its output.
    """
    with tempfile.TemporaryFile() as said:
        process = airflow.popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )  # fmt: skip
        try:
            code: int | None = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            airflow.session.end_group(process)
            code = None
        said.seek(max(0, said.seek(0, os.SEEK_END) - 4 * KEPT_OUTPUT))
        return code, said.read().decode(errors="replace")[-KEPT_OUTPUT:]
