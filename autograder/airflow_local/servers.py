"""Servers of ours beside an Airflow: what they said when they began to listen, and the source that serves the months.

Contract: a `Server` is a process that prints one line of JSON once it listens; a `Source` is the one that serves TLC's
files, with its access log, and faults that can be asked for.
"""

import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.airflow_local import months as tlc
from autograder.airflow_local.session import Session
from autograder.airflow_local.source import read_log, write_faults


@dataclass(frozen=True)
class Server:
    """A server of ours: what it said when it began to listen, and its process."""

    said: dict[str, Any]
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, session: Session, name: str, argv: Sequence[str]) -> "Server":
        """Start it, and wait until it says where it listens."""
        process = session.start(name, argv)
        log = session.logs / f"{name}.log"

        def said() -> dict[str, Any] | None:
            for line in log.read_text().splitlines():  # its command may have had something to say before it
                with contextlib.suppress(ValueError):
                    found: dict[str, Any] = json.loads(line)
                    return found
            return None

        session.wait_until(lambda: said() is not None, f"The server {name}", process=process, name=name, limit=30)
        return cls(said() or {}, process)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Source:
    """The running HTTP source.

    Parameters
    ----------
    url
        Its base address, TLC's layout beneath.
    months
        What each month's file holds.
    log
        The access log, one JSON object a line.
    folder
        What it serves.
    faults
        The control file of `write_faults`.
    server
        Serves it.
    """

    url: str
    months: dict[str, tlc.MonthFacts]
    log: Path
    folder: Path
    faults: Path
    server: Server

    @property
    def months_folder(self) -> Path:
        """Where the months' files are."""
        return self.folder / "trip-data"

    def requests(self) -> list[dict[str, Any]]:
        """Return what was asked of the source so far, oldest first."""
        return read_log(self.log) if self.log.exists() else []

    def fail(self, month: str, *faults: Mapping[str, object]) -> None:
        """Let the source fail for a month, as `write_faults` says, and for no other; without faults for none."""
        write_faults(self.faults, {f"/trip-data/{tlc.file_name(month)}": faults} if faults else {})
