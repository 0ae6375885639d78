"""Where `airflow`, `dbt`, `uv` and `uvx` on PATH come from: warm parents, or the packages' own scripts.

Contract: `Commands.start` starts a warm parent for each program of a session; `folder` is to be put before PATH, and
in it `airflow` and `dbt` go through them. Where a process cannot safely fork what it has imported (any system but
Linux), or COURSE_WARM=0 asks for it, the commands are those of the environment, whose scripts come after on PATH.
In both cases `uvx dbt` and `uv tool run dbt` are this `dbt`.
"""

import contextlib
import os
import py_compile
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autograder.airflow_local import uvx, warm_client
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.airflow_local.session import MARK, Session, end_processes
from autograder.paths import DBT_PROJECT, ROOT

SCRIPTS = Path(sysconfig.get_path("scripts"))
FOLDER = "bin"
MODULE = "module"
"""What the command is called that runs one of our modules in the warm Airflow."""

PRELOADED_WITHIN = 120.0
"""Seconds that the imports may take on a slow machine."""


def search_path(session: Session) -> str:
    """Return the PATH on which a session's commands come before the environment's own, and these before all else.

    The warm parents are started on it as well: what is found on PATH while packages are imported is found for good,
    such as the `dbt` that Cosmos takes for the system's.
    """
    return os.pathsep.join([str(session.folder / FOLDER), str(SCRIPTS), os.environ["PATH"]])


@dataclass(frozen=True)
class Commands:
    """The commands of a session.

    Parameters
    ----------
    session
        Owns the warm parents.
    environments
        What each program is imported under; none where the real commands are used.
    parents
        The warm parents, by program.
    """

    session: Session
    environments: Mapping[str, Mapping[str, str]]
    parents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Holds the commands."""
        return self.session.folder / FOLDER

    @classmethod
    def start(cls, session: Session, postgres: Postgres, environment: Mapping[str, str]) -> "Commands":
        """Start the warm parents, without waiting for them.

        Parameters
        ----------
        session
            Owns them.
        postgres
            Where dbt's parent tries its commands out, in a database of its own.
        environment
            Airflow's settings, under which it is imported; each command brings its own environment.
        """
        made = cls(session, {})
        made.folder.mkdir()
        for program in uvx.BEFORE_TOOL:
            made._write(program, [sys.executable, "-I", "-S", uvx.__file__, str(SCRIPTS / program)])
        if sys.platform != "linux" or os.environ.get("COURSE_WARM") == "0":
            return made
        warmup = "dbt_warmup"
        if not postgres.has_database(warmup):
            postgres.create_database(warmup, owner=WAREHOUSE)
        environments = {
            "airflow": environment,
            "dbt": {
                "PG_HOST": "127.0.0.1",
                "PG_PORT": str(postgres.port),
                "PG_USER": WAREHOUSE,
                "PG_PASSWORD": postgres.passwords[WAREHOUSE],
                "PG_DBNAME": warmup,
                "PG_SCHEMA": warmup,
                "DBT_PROJECT_DIR": str(DBT_PROJECT),
                "DBT_PROFILES_DIR": str(DBT_PROJECT),
                "DBT_TARGET_PATH": str(session.folder / warmup),
                "DBT_LOG_PATH": str(session.folder / warmup),
                "COURSE_WARMUP_DATABASE": postgres.uri(warmup, user=WAREHOUSE),
            },
        }
        made = cls(session, environments)
        for program in environments:
            made._script(program, SCRIPTS / program, program)
        made._script("pytest", SCRIPTS / "pytest", "airflow")
        made._script(MODULE, Path(sys.executable), "airflow")
        for program in environments:
            made._start(program)
        return made

    def module(self, name: str, *arguments: str, warm: bool = True) -> list[str]:
        """Return the command line that runs a module of ours as `python -m`, in a process that has Airflow imported.

        Parameters
        ----------
        name, arguments
            The module and its arguments.
        warm
            Whether the warm parent is to run it: a server that is wanted before the parent is ready starts cold.
        """
        python = str(self.folder / MODULE) if self.parents and warm else sys.executable
        return [python, "-m", name, *arguments]

    def inside(self) -> dict[str, tuple[list[str], Path]]:
        """Return for each program how its warm parent is asked for a child that serves commands in a sandbox.

        The environment says which. Its socket has the path that the parent's own has here, so the commands are the
        same there.
        """
        return {
            program: (
                [sys.executable, "-I", "-S", warm_client.__file__, str(self._socket(program)), "/bin/false",
                 warm_client.SERVE, str(self._socket(program))],
                self._socket(program),
            )
            for program in self.parents
        }  # fmt: skip

    def _start(self, program: str) -> None:
        socket = self._socket(program)
        argv = [sys.executable, "-m", "autograder.airflow_local.warm", program, str(socket)]
        # A mark of its own, which the children that it forks carry as well.
        environment = {**self.environments[program], MARK: self.session.mark(socket)}
        self.parents[program] = self.session.start(f"warm-{program}", argv, env=environment, cwd=ROOT)

    def _script(self, name: str, real: Path, program: str) -> None:
        # Compiled once: what Python is told to run, it would compile each time.
        compiled = self.folder / "warm_client.pyc"
        if not compiled.exists():
            py_compile.compile(warm_client.__file__, str(compiled), doraise=True)
        client = [sys.executable, "-I", "-S", str(compiled), str(self._socket(program)), str(real), name]
        self._write(name, client)

    def _write(self, name: str, argv: list[str]) -> None:
        (self.folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
        (self.folder / name).chmod(0o755)

    def ready(self, program: str) -> bool:
        """Return whether a program's warm parent takes commands now."""
        return program in self.parents and self._ready(program).exists()

    def _socket(self, program: str) -> Path:
        return self.session.folder / f"warm-{program}"

    def _ready(self, program: str) -> Path:
        return self.session.folder / f"warm-{program}.ready"

    def wait(self, program: str) -> None:
        """Wait until a program's warm parent takes commands; those given before wait by themselves.

        Raises
        ------
        CourseError
            When it cannot import what it is to import.
        """
        if program in self.parents:
            self.session.wait_until(
                self._ready(program).exists, f"The warm {program}",
                process=self.parents[program], name=f"warm-{program}", limit=PRELOADED_WITHIN,
            )  # fmt: skip

    def revive(self, limit: float = 0) -> list[str]:
        """Start again the warm parents that have ended, and end what is left of their commands.

        Parameters
        ----------
        limit
            Seconds to wait for the end of each.

        Returns
        -------
        list of str
            Their programs.
        """
        ended = []
        for program, parent in self.parents.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                parent.wait(limit)
                ended.append(program)
        for program in ended:
            end_processes(self._socket(program))
            self._socket(program).unlink(missing_ok=True)
            self._ready(program).unlink(missing_ok=True)
            self._start(program)
        return ended
