"""Where `airflow` and `dbt` on PATH come from: the warm parent, or the packages' own scripts.

Contract: `warm_commands` starts the warm parent of a session and returns a folder to put before PATH, in which
`airflow` and `dbt` go through it. Where a process cannot safely fork what it has imported (any system but
Linux), or COURSE_WARM=0 asks for it, the folder is the environment's own, with the real commands.
"""

import os
import shlex
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from autograder.airflow_local import warm_client
from autograder.airflow_local.session import Session
from autograder.airflow_local.warm import PROGRAMS
from autograder.paths import ROOT

SCRIPTS = Path(sysconfig.get_path("scripts"))
PRELOADED_WITHIN = 120.0
"""Seconds that the imports may take on a slow machine."""


def warm_commands(session: Session, env: Mapping[str, str]) -> Path:
    """Return the folder with the commands of a session.

    Parameters
    ----------
    session
        Owns the warm parent.
    env
        Airflow's settings, under which the parent imports; each command brings its own environment.

    Raises
    ------
    CourseError
        When the parent cannot import what it is to import.
    """
    if sys.platform != "linux" or os.environ.get("COURSE_WARM") == "0":
        return SCRIPTS
    listening = session.folder / "warm"
    argv = [sys.executable, "-m", "autograder.airflow_local.warm", str(listening)]
    process = session.start("warm", argv, env=env, cwd=ROOT)
    folder = session.folder / "bin"
    folder.mkdir()
    for program in PROGRAMS:
        client = [sys.executable, "-I", "-S", warm_client.__file__, str(listening), str(SCRIPTS / program), program]
        (folder / program).write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
        (folder / program).chmod(0o755)
    session.wait_until(listening.exists, "The warm Airflow", process=process, name="warm", limit=PRELOADED_WITHIN)
    return folder
