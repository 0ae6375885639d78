"""The source: a real HTTP server with the layout and the behaviour of TLC's download site.

Contract: run as a process of its own (`python -m autograder.airflow_local.source --root DIR --log FILE`), it
serves the files of DIR/trip-data and DIR/misc on 127.0.0.1, prints `{"port": N}` once it listens, and ends
with 0 on SIGTERM or SIGINT. Whatever it does not have answers 403, as TLC's site does for a month that is
not published. Each answer is one line of the access log, appended after it was sent: the log is a witness
when a run is judged. Only the owner of the server can ask for faults, through a file (`write_faults`).
"""

import argparse
import io
import json
import math
import mimetypes
import os
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from autograder.errors import CourseError

# One folder and one plain name: no path in it can lead anywhere else.
_SERVED = re.compile(r"/(trip-data|misc)/\w[\w.-]{0,99}", re.ASCII)

mimetypes.add_type("application/vnd.apache.parquet", ".parquet")


def write_faults(path: Path, faults: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    """Ask a running server for faults, in place of those asked for before; their counts begin anew.

    Parameters
    ----------
    path
        The file that the server was given as `--faults`.
    faults
        For each path (such as '/misc/taxi_zone_lookup.csv') its faults, one after the other:
        `{"status": 503, "times": 2}` answers the next two requests with 503, `{"damage": True}` serves the
        file cut to half of its bytes. Without `times` a fault lasts.
    """
    # A new file by rename: the server never reads half of one, and sees that it is another.
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(faults), encoding="utf-8")
    draft.replace(path)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a server's access log, which may still grow.

    Parameters
    ----------
    path
        The file that the server was given as `--log`.

    Returns
    -------
    list of dict
        The answers, in the order in which they were finished: `time` (when the request came, ISO 8601, UTC),
        `method`, `path` (decoded), `status`, `bytes` (of the body, handed to the connection), `range` (the
        request's header, or None), `user_agent`.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Faults:
    """The faults that a control file asks for, and how often each was had.

    Parameters
    ----------
    path
        The control file, which may come and go; None for a server without faults.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        self._had: Counter[tuple[str, int]] = Counter()

    def take(self, requested: str) -> Mapping[str, Any]:
        """Return the fault that this request for a path gets, empty for none, and count it."""
        if self._path is None:
            return {}
        try:
            with self._path.open(encoding="utf-8") as file:
                about = os.fstat(file.fileno())
                asked = json.load(file)
        except FileNotFoundError:
            return {}
        if self._version != (about.st_ino, about.st_mtime_ns):
            self._version = about.st_ino, about.st_mtime_ns
            self._had.clear()
        for place, fault in enumerate(asked.get(requested, ())):
            if self._had[requested, place] < fault.get("times", math.inf):
                self._had[requested, place] += 1
                return dict(fault)
        return {}


class _App:
    """Answers requests (ASGI), and writes a line of the log for each."""

    def __init__(self, root: Path, log: io.FileIO, faults: Faults) -> None:
        self._root = root
        self._files = StaticFiles(directory=root)
        self._log = log
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        line = {
            "time": datetime.now(UTC).isoformat(),
            "method": scope["method"],
            "path": scope["path"],
            "status": 500,  # what uvicorn answers when we cannot
            "bytes": 0,
            "range": headers.get("range"),
            "user_agent": headers.get("user-agent"),
        }
        # Written with the last part, so that lines stand in the order of the answers; at the end if none came.
        unwritten = [line]

        async def counted(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                line["status"] = message["status"]
                return
            line["bytes"] += len(message["body"]) if scope["method"] != "HEAD" else 0
            if not message.get("more_body"):
                self._log.write(json.dumps(unwritten.pop()).encode() + b"\n")

        try:
            await self._answer(scope)(scope, receive, counted)
        finally:
            for broken_off in unwritten:
                self._log.write(json.dumps(broken_off).encode() + b"\n")

    def _answer(self, scope: Scope) -> Response:
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            return _error(405, {"Allow": "GET, HEAD"})
        fault = self._faults.take(path)
        if "status" in fault:
            return _error(fault["status"])
        file = self._root / path[1:]
        if not _SERVED.fullmatch(path) or not file.is_file():
            return _error(403)
        if fault.get("damage"):
            # The half that is left, whatever range was asked for: no client can read around the damage.
            whole = file.read_bytes()
            return Response(whole[: len(whole) // 2], media_type=mimetypes.guess_type(file)[0])
        return self._files.file_response(file, file.stat(), scope)


def _error(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in the form of the object store that TLC's site is served from."""
    says = "Access Denied" if status == 403 else HTTPStatus(status).phrase
    body = f"<Error><Code>{says.replace(' ', '')}</Code><Message>{says}</Message></Error>"
    declared = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return Response(declared, status, headers, media_type="application/xml")


class _Server(uvicorn.Server):
    """uvicorn, which says on stdout where it listens as soon as it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            print(json.dumps({"port": listener.getsockname()[1]}), flush=True)


def serve(root: Path, log: Path, port: int, faults: Path | None) -> None:
    """Serve until SIGTERM or SIGINT, which end the process with 0.

    Parameters
    ----------
    root
        The folder that holds `trip-data` and `misc`.
    log
        The access log; lines are added to it.
    port
        The port on 127.0.0.1; 0 takes a free one.
    faults
        The control file of `write_faults`, which need not exist; None for no faults.

    Raises
    ------
    CourseError
        If there is no such folder, the log cannot be written or the port cannot be had.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn takes these while it serves, and raises them again when it is done.
        signal.signal(number, lambda *_: sys.exit(0))
    if not root.is_dir():
        raise CourseError(
            f"There is nothing to serve: {root} is not a folder.",
            where=str(root),
            todo="Name the folder that `months.stock` filled: it holds trip-data and misc.",
        )
    try:
        written = log.open("ab", buffering=0)
    except OSError as error:
        raise CourseError(
            f"The access log cannot be written: {error.strerror}.",
            where=str(log),
            todo="Name a file in a folder that exists and can be written.",
        ) from error
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise CourseError(
            f"The source cannot listen on port {port}: {error}",
            where=f"127.0.0.1:{port}",
            todo="End what listens there, or use --port 0, which takes a free port.",
        ) from error
    with written, listener:
        config = uvicorn.Config(
            _App(root, written, Faults(faults)),
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        _Server(config).run([listener])


def main() -> int:
    """Read the command line and serve.

    Returns
    -------
    int
        The exit code of a failure.
    """
    parser = argparse.ArgumentParser(prog="python -m autograder.airflow_local.source", description="Serve months.")
    parser.add_argument("--root", type=Path, required=True, help="folder with trip-data and misc")
    parser.add_argument("--log", type=Path, required=True, help="access log, one JSON object a line")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--faults", type=Path, help="control file for faults (default: no faults)")
    asked = parser.parse_args()
    try:
        serve(asked.root, asked.log, asked.port, asked.faults)
    except CourseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
