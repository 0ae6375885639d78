"""A warm parent: imports a program once, and forks a child for each of its commands.

Contract: `python -m autograder.airflow_local.warm PROGRAM SOCKET`, for `airflow` or `dbt`, listens on a Unix socket
when all is imported. A client (`warm_client`) sends a command line, a folder, an environment and its three standard
streams; the parent forks a child that takes these over and runs the program's own entry point, and tells the client
how it ended. Signals that the client passes on reach the child. The parent has one thread and no connection of its
own when it forks, which it asserts.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from autograder.airflow_local import namespaces, preload

LENGTH = struct.Struct("!I")
LIBC = ctypes.CDLL(None)
FOLDERS = "COURSE_FOLDERS"
"""Environment variable: for each path the folder that is to be there, as JSON."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Child(Exception):  # noqa: N818 - not an error: unwinds the forked child to a clean stack
    """Raised in the forked child, with the request that it is to run."""

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__()
        self.request = request


class Parent:
    """The loop that accepts requests, forks, and reports how children ended."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.clients: dict[socket.socket, int] = {}
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        self.selector.register(listener, selectors.EVENT_READ)
        self.selector.register(self.wake_read, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until ended by a signal; in a forked child, raise `Child`."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj == self.wake_read:
                    os.read(self.wake_read, 4096)
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):
                    self._signalled(key.fileobj)

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        try:
            header, handles, *_ = socket.recv_fds(client, LENGTH.size, 5)
            (length,) = LENGTH.unpack(header)
            request = json.loads(_exactly(client, length))
        except (OSError, ValueError, struct.error):
            client.close()
            return
        if threading.active_count() != 1:
            raise RuntimeError(f"the warm parent has threads and cannot fork: {threading.enumerate()}")
        child = os.fork()
        if child == 0:
            self._become_child(client, handles[:3])
            enter(handles[3:], request["env"])
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no command outlives the parent
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)  # what it starts stays beneath it, daemons too
            raise Child(request)
        for handle in handles:
            os.close(handle)
        self.clients[client] = child
        self.selector.register(client, selectors.EVENT_READ)

    def _become_child(self, client: socket.socket, streams: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.setsid()
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
            os.close(stream)
        self.selector.close()
        for connection in (self.listener, client, *self.clients):
            connection.close()
        os.close(self.wake_read)
        os.close(self.wake_write)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for client, child in list(self.clients.items()):
                    if child == ended[0]:
                        with contextlib.suppress(OSError):
                            client.sendall(LENGTH.pack(ended[1]))
                        self._forget(client)

    def _signalled(self, client: socket.socket) -> None:
        if client not in self.clients:
            return
        child = self.clients[client]
        data = b""
        with contextlib.suppress(OSError):
            data = client.recv(64)
        with contextlib.suppress(ProcessLookupError):
            for number in data:
                os.kill(child, number)
        if not data:  # the client is gone, and with it whoever waited for the command
            _kill_tree(child)
            self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        self.selector.unregister(client)
        del self.clients[client]
        client.close()


def _kill_tree(pid: int) -> None:
    # The root is stopped, not killed, until the last: it holds together what its children leave.
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        root.suspend()
        while left := [one for one in root.children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]:
            for one in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(left, timeout=0.1)
        root.kill()


def _exactly(client: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        if not (part := client.recv(length - len(data))):
            raise OSError("the client closed the connection")
        data += part
    return data


def enter(handles: list[int], environment: Mapping[str, str]) -> None:
    """Enter the client's namespaces; where it has none of its own, make the one that its environment asks for."""
    try:
        inside = namespaces.join(dict(zip(namespaces.KINDS, handles, strict=True)))
        if not inside and (folders := environment.get(FOLDERS)):
            namespaces.bind(json.loads(folders))
    except OSError as error:
        print(f"The paths of a deployed DAG cannot be had here ({error}): use paths in the project.", file=sys.stderr)
    for handle in handles:
        os.close(handle)


def take_over(request: dict[str, Any]) -> None:
    """Give this forked child the client's folder, environment and command line."""
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]
    sys.path[1:1] = [entry for entry in request["env"].get("PYTHONPATH", "").split(os.pathsep) if entry]
    # Python settled how these buffer when the parent started: settle it again for the client's streams.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    for name, number in (("stdout", 1), ("stderr", 2)):
        line_buffered = os.isatty(number) or number == 2
        stream = open(number, "w", closefd=False, buffering=1 if line_buffered else -1)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main(program: str, path: str) -> int:
    """Preload a program, then serve its commands on the Unix socket at `path`."""
    ended: list[int] = []
    atexit.register(_leave, ended)
    gc.disable()  # what imports make, stays: looking through it again and again takes a quarter of the time
    run = preload.PROGRAMS[program]()
    gc.collect()
    gc.freeze()
    gc.enable()
    if connections := psutil.Process().net_connections("inet"):
        raise RuntimeError(f"the warm parent has connections, which children would share: {connections}")
    listener = socket.socket(socket.AF_UNIX)
    beside = f"{path}.new"
    folder = os.open(Path(path).parent, os.O_PATH)  # by a short path: the address holds 107 characters
    listener.bind(f"/proc/self/fd/{folder}/{Path(beside).name}")
    os.close(folder)
    listener.listen(64)
    Path(beside).rename(path)
    try:
        Parent(listener).serve()
    except Child as child:
        request = child.request
    take_over(request)
    try:
        ended.append(run())
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            ended.append(ending.code or 0)
        raise
    return ended[0]


def _leave(ended: list[int]) -> None:
    """End a child that has nothing left to do, without taking its imports apart, which it shares with the parent.

    Runs after all that the command has registered for its exit: Python calls the first one last.
    """
    if ended:
        with contextlib.suppress(OSError, ValueError):  # Python itself then says what it cannot write, or to whom
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended[0] & 0xFF)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
