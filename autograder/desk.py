"""The student's own Airflow, with or without JupyterLab in front of it.

Contract: `open_desk` starts an Airflow on the clone's dags/ whose runs, connections and warehouse stay from one time
to the next, and ends it when the block ends. One at a time runs in a clone. `jupyterlab` runs JupyterLab in it, so that
notebook cells and its terminals find that Airflow's `airflow` and `dbt`. `mind` keeps it up in the meantime.
"""

import contextlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from autograder.airflow_local import local, postgres
from autograder.airflow_local.airflow import migrate
from autograder.airflow_local.session import Session, free_port
from autograder.console import Progress, err, out, show_error
from autograder.errors import CourseError
from autograder.locking import Holder, locked
from autograder.paths import DESK, JUPYTERLAB, ROOT, STATE


@contextlib.contextmanager
def open_desk(data: Path | None = None, *, project: Path = ROOT, state: Path = STATE) -> Iterator[local.Local]:
    """Run the clone's Airflow until the block ends.

    Parameters
    ----------
    data
        A folder of real TLC files to serve in place of generated ones.
    project
        The folder with `dags/`.
    state
        Where the databases and the keys stay, in a folder `home`.

    Raises
    ------
    CourseError
        When it runs already, or a part cannot start.
    """
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(Session.open(state))
        home = state / "home"
        say = stack.enter_context(locked(home / "lock", _taken))
        progress = Progress()
        with progress.step("airflow", "Starting Airflow"):
            shared = local.Shared.start(session, home)
            _upgrade(shared, home)
            student = os.environ.get("AIRFLOW_STUDENT") or "default"
            desk = local.start(shared, project, student=student, seed=local.practice_seed(student), data=data)
        say(desk.airflow.url)
        out.print(f"Airflow: {desk.airflow.url}  (no login needed; student {student}, dags in {desk.airflow.dags})")
        stack.callback((home / DESK.name).unlink, missing_ok=True)
        _write_environment(home / DESK.name, desk)
        yield desk


def _taken(holder: Holder | None) -> CourseError:
    where = f", at {holder.says}" if holder and holder.says else f": {holder or 'another process'} starts it"
    return CourseError(
        f"This clone's Airflow is running already{where}.",
        todo="Use that one, or stop it with Ctrl-C where it was started.",
    )


def _write_environment(path: Path, desk: local.Local) -> None:
    """Write down, for this account only, what a notebook in any editor needs to find this Airflow."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(desk.notebook_environment))


def _upgrade(shared: local.Shared, home: Path) -> None:
    """Bring a metadata database that an older Airflow made up to date."""
    made_with = home / "made-with"
    now = postgres.fingerprint()
    if shared.postgres.has_database("airflow") and made_with.exists() and made_with.read_text() != now:
        migrate(shared.session, shared.postgres.uri("airflow", driver="postgresql+psycopg2"))
    made_with.write_text(now)


def mind(desk: local.Local, over: Callable[[], bool] = lambda: False) -> None:
    """Keep an Airflow up until something is over: when a warm parent is killed, start it and what it ran again.

    Parameters
    ----------
    desk
        The Airflow.
    over
        Asked about twice a second.

    Raises
    ------
    CourseError
        When a component ends by itself.
    """
    commands = desk.shared.commands
    while not over():
        ended = desk.airflow.ended(0.2)
        revived = commands.revive(0.2)
        for program in revived:
            err.print(
                f"The warm parent of `{program}` was ended from outside, and what it ran with it. Starting again."
            )
        if "airflow" in revived:
            commands.wait("airflow")
            desk.airflow.stop()
            desk.airflow.start()
            err.print("Airflow is up again.")
        elif ended:
            raise CourseError(f"Airflow's {ended} ended by itself.", where=str(desk.shared.session.logs))


LAB_LIMIT = 120
"""Seconds that JupyterLab has to start."""


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def jupyterlab_command(port: int, token: str, *, browser: bool) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs JupyterLab on the folder that it is started in, and what its environment needs.

    Parameters
    ----------
    port
        Where it listens.
    token
        What a browser must know to be let in.
    browser
        Whether to open it in a browser.
    """
    argv = [sys.executable, "-m", "jupyterlab", f"--port={port}", "--ip=127.0.0.1"]
    argv += [] if browser else ["--no-browser"]
    argv += ["--allow-root"] if os.geteuid() == 0 else []
    # A terminal's shell is not to be a login shell, which sets PATH anew on many systems.
    terminals = {"shell_command": [os.environ.get("SHELL") or "sh"]}
    argv += [f"--ServerApp.terminado_settings={terminals}"]
    # Our defaults for its settings. News come from the internet, and the question whether to fetch them covers a part
    # of the notebook.
    configs = filter(None, [str(JUPYTERLAB), os.environ.get("JUPYTER_CONFIG_PATH")])
    environment = {"JUPYTER_CONFIG_PATH": os.pathsep.join(configs)}
    return argv, {**environment, "JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1"}


def jupyterlab(desk: local.Local, *, browser: bool) -> int:
    """Run JupyterLab on the clone until it ends, and return its exit code.

    Parameters
    ----------
    desk
        The Airflow behind it.
    browser
        Whether to open it in a browser.
    """
    port, token = free_port(), secrets.token_hex(16)
    argv, own = jupyterlab_command(port, token, browser=browser)
    session = desk.shared.session
    try:
        lab = session.start("jupyterlab", argv, env={**desk.notebook_environment, **own}, cwd=ROOT)
        listens = partial(_listens, port)  # who is given its address opens it at once
        session.wait_until(listens, "JupyterLab", process=lab, name="jupyterlab", limit=LAB_LIMIT)
        out.print(f"JupyterLab: http://127.0.0.1:{port}/lab/tree/notebooks?token={token}", soft_wrap=True)
        try:
            mind(desk, lambda: lab.poll() is not None)
        except CourseError as error:  # notebooks are worth keeping without it
            show_error(error)
        return lab.wait()
    finally:
        out.print(f"JupyterLab's log: {session.logs / 'jupyterlab.log'}", soft_wrap=True)
