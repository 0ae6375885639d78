"""The commands of a runbook that ask Airflow for runs, typed in a sandbox and carried out by ours.

Contract: `Gate` is a context. While it is open, `airflow dags trigger`, `airflow backfill create`, `airflow dags pause`
and `unpause`, run inside with its `folder` before PATH, are done outside, on the Airflow that runs: with the arguments
that were typed, and nothing else of the sandbox's. Any other command is the sandbox's own `airflow`, which asks nobody
outside: a program that asks for one all the same speaks to the gate by itself, and is told of as tampering. These four
run no code of a student's: they work on what Airflow has stored.
"""

import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ALLOWED = (("dags", "trigger"), ("backfill", "create"), ("dags", "pause"), ("dags", "unpause"))
LARGEST = 100_000
"""Bytes of a command's arguments."""

MOST = 20
"""Commands that one gate carries out."""

LONGEST_TOLD = 100
"""Characters of a command that are told."""

CLIENT = """
import json, os, socket, sys
path, real, *argv = sys.argv[1:]
if argv[:2] not in {allowed}:
    os.execv(real, [real, *argv])
gate = socket.socket(socket.AF_UNIX)
gate.connect(path)
gate.sendall(json.dumps(argv).encode())
gate.shutdown(socket.SHUT_WR)
answer = json.loads(gate.makefile("rb").read() or b'[1, "airflow: the command was refused."]')
sys.stdout.write(answer[1])
sys.exit(answer[0])
"""

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]
"""Carries out `airflow ARG…`."""


class Gate:
    """Takes commands; a context.

    Parameters
    ----------
    folder
        Holds the command and the socket; there inside, too.
    real
        The sandbox's own `airflow`.
    run
        Carries a command out.
    tampered
        Takes a command that only a program of a student's own can have asked for.
    """

    def __init__(self, folder: Path, real: Path, run: Run, tampered: Callable[[str], None]) -> None:
        self.folder = folder
        self._run, self._tampered = run, tampered
        self._left = MOST
        for old in folder.iterdir():
            old.unlink()
        (folder / "client.py").write_text(CLIENT.format(allowed=[list(one) for one in ALLOWED]))
        argv = [sys.executable, "-I", "-S", str(folder / "client.py"), str(folder / "gate"), str(real)]
        (folder / "airflow").write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
        (folder / "airflow").chmod(0o755)

    def __enter__(self) -> Self:
        """Open it."""
        self._listener = socket.socket(socket.AF_UNIX)
        place = os.open(self.folder, os.O_PATH)  # by a short path: the address holds 107 characters
        self._listener.bind(f"/proc/self/fd/{place}/gate")
        os.close(place)
        (self.folder / "gate").chmod(0o777)
        self._listener.listen(4)
        self._thread = threading.Thread(target=self._serve, name="sandbox-gate", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: tuple[type[BaseException], BaseException, TracebackType]) -> None:
        """Close it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        (self.folder / "gate").unlink()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # closed
            with caller, contextlib.suppress(OSError, ValueError, RecursionError, subprocess.SubprocessError):
                caller.settimeout(5)  # one that says nothing keeps the next one waiting
                answer = self._answer(_all_of(caller))
                caller.sendall(json.dumps(answer).encode())

    def _answer(self, said: bytes) -> tuple[int, str]:
        argv = json.loads(said)
        if not isinstance(argv, list) or not all(isinstance(one, str) and "\0" not in one for one in argv):
            raise ValueError("no command line")
        if tuple(argv[:2]) not in ALLOWED:  # the client passes no other on, whatever is typed
            self._tampered(shlex.join(["airflow", *argv])[:LONGEST_TOLD])
            raise ValueError("not allowed")
        if self._left == 0:
            raise ValueError("too many")
        self._left -= 1
        done = self._run(argv)
        return done.returncode, done.stdout


def _all_of(caller: socket.socket) -> bytes:
    said = b""
    while part := caller.recv(65536):
        said += part
        if len(said) > LARGEST:
            raise ValueError("too long")
    return said
