"""What is wrong with this machine, and the remedy: `course doctor`.

Contract: `examine` tries each thing that the course needs, for real and quickly, says how it went, and returns
whether all of it works.
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable

from autograder.airflow_local import postgres
from autograder.airflow_local.airflow import migrate
from autograder.airflow_local.session import ROOM_MB, Session, free_port
from autograder.console import err, out
from autograder.errors import CourseError
from autograder.paths import STATE
from autograder.sandbox import available

PYTHONS = ((3, 11), (3, 12), (3, 13))


def examine() -> bool:
    """Try each thing, print a line for each, and return whether all work."""
    checks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "disk": _disk,
        "localhost": _localhost,
        "packages": _packages,
        "Postgres": _postgres,
    }
    well = True
    for name, check in checks.items():
        try:
            out.print(f"[green]✓ OK[/]       {name}: {check()}")
        except CourseError as error:
            well = False
            err.print(f"[red]✗ PROBLEM[/]  {name}: {error}")
    if why := available():
        out.print(f"[yellow]○ NOTE[/]     sandbox: {why}. Only ./course grade needs one.")
    else:
        out.print("[green]✓ OK[/]       sandbox: a class can be graded in one")
    return well


def _python() -> str:
    if sys.version_info[:2] not in PYTHONS:
        raise CourseError(f"This is Python {platform.python_version()}.", todo="Use Python 3.11, 3.12 or 3.13.")
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _disk() -> str:
    try:
        STATE.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(
            f"The course cannot write here: {error.strerror}.",
            where=str(STATE),
            todo="Put the clone where you may write.",
        ) from error
    free = shutil.disk_usage(STATE).free // 2**20
    if free < ROOM_MB:
        raise CourseError(f"{free} MB are free.", where=str(STATE), todo=f"Make room: a run needs {ROOM_MB} MB.")
    return f"{free:,} MB free"


def _localhost() -> str:
    try:
        with socket.create_server(("127.0.0.1", free_port())):
            return "programs here can listen on 127.0.0.1"
    except OSError as error:
        raise CourseError(
            f"No program can listen on 127.0.0.1: {error.strerror}.", todo="Look at your firewall or container."
        ) from error


def _packages() -> str:
    code = "import airflow, dbt.cli.main, nbgrader, papermill, pandas; print(airflow.__version__)"
    with tempfile.TemporaryDirectory() as home:  # Airflow makes its folder when it is imported: not in one's own
        env = {**os.environ, "AIRFLOW_HOME": home}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise CourseError(done.stderr.strip().splitlines()[-1], todo="Remove the folder .venv, and run ./course again.")
    return f"Airflow {done.stdout.split()[-1]}, dbt, nbgrader, papermill and pandas can be imported"


def _postgres() -> str:
    with Session.open() as session:
        started = postgres.start(session, lambda uri: migrate(session, uri))
        with started.connect(postgres.ADMIN) as connection:
            version = connection.execute("SHOW server_version").fetchone()
    return f"version {version[0] if version else '?'} starts and answers"
