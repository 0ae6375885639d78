"""A warm parent: imports a program once, and forks a child for each of its commands.

Contract: `python -m autograder.airflow_local.warm PROGRAM SOCKET`, for `airflow` or `dbt`, listens on a Unix socket at
once, and takes commands when all is imported, which the file `SOCKET.ready` says. A client (`warm_client`) sends a
command line, a folder, an environment and its three standard streams; the parent forks a child that takes these over
and runs the program's own entry point, and tells the client how it ended. Signals that the client passes on reach the
child. Whenever it forks, the parent has one thread and no connection but its clients', which it asserts. When packages
are changed under it, it declines commands until they have settled, and then starts again in place: what runs goes on.
"""

import atexit
import contextlib
import ctypes
import gc
import io
import json
import os
import resource
import selectors
import signal
import socket
import stat
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import psutil

from autograder.airflow_local import leaf, namespaces, preload
from autograder.airflow_local.warm_client import DECLINED, LENGTH, LIMITS, PASSED_ON, SANDBOX, SERVE, TO_GROUP

LIBC = ctypes.CDLL(None)
FOLDERS = "COURSE_FOLDERS"
"""Environment variable: for each path the folder that is to be there, as JSON."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

HANDED_OVER = "COURSE_WARM_HANDED_OVER"
"""Environment variable for itself when it starts again: the descriptors of the listener and of the clients of running
commands, with each one's child, as JSON."""

PACKAGES = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
"""Folders that an installation of packages changes."""

SETTLED = 2.0
"""Seconds without a change, and without a command, after which an installation is taken to be over."""


@dataclass(frozen=True)
class Request:
    """A command, and what it is to have of its client's.

    Parameters
    ----------
    umask, nice
        As the client has them.
    limits
        Soft and hard limit of each of `LIMITS`.
    ignored
        The signals that the client ignores.
    argv, environment
        The command.
    """

    umask: int
    nice: int
    limits: list[tuple[int, int]]
    ignored: list[int]
    argv: list[str]
    environment: dict[str, str]

    @classmethod
    def read(cls, body: bytes) -> "Request":
        """Read what the client sends.

        Raises
        ------
        ValueError
            When it is something else.
        """
        *numbers, rest = body.split(b"\0", 5)
        (umask,), (nice,), limits, ignored, (arguments,) = ([int(one) for one in some.split()] for some in numbers)
        texts = [os.fsdecode(text) for text in rest.split(b"\0")]
        variables = (text.partition("=") for text in texts[arguments:])
        pairs = list(zip(limits[::2], limits[1::2], strict=True))
        return cls(umask, nice, pairs, ignored, texts[:arguments], {name: value for name, _, value in variables})


class Child(Exception):  # noqa: N818 - not an error: unwinds the forked child to a clean stack
    """Raised in the forked child, with the request that it is to run."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class Parent:
    """The loop that accepts requests, forks, and reports how children ended.

    Parameters
    ----------
    listener
        Where clients connect.
    imported
        What `installed` said before anything was imported.
    clients
        Of commands that run already: the child of each.
    """

    def __init__(self, listener: socket.socket, imported: list[int], clients: dict[socket.socket, int]) -> None:
        self.listener = listener
        self.imported = imported
        self.clients = clients
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        for connection in (listener, *clients):
            self.selector.register(connection, selectors.EVENT_READ)
        self.selector.register(self.wake_read, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until packages have been changed, or a signal ends it; in a forked child, raise `Child`."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        self._reap()  # what ended while packages were imported
        changed: list[int] | None = None
        while True:
            events = self.selector.select(None if changed is None else SETTLED)
            for key, _ in events:
                if key.fileobj is self.listener:
                    changed = self._accept()
                elif key.fileobj == self.wake_read:
                    os.read(self.wake_read, 4096)
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):
                    self._signalled(key.fileobj)
            if changed is not None and not events:
                before, changed = changed, installed()
                if changed == before:
                    return

    def _accept(self) -> list[int] | None:
        """Run a command, or decline it and return what is installed, where that is not what was imported."""
        client, _ = self.listener.accept()
        try:
            header, handles, *_ = socket.recv_fds(client, LENGTH, 6)
            request = Request.read(_exactly(client, int.from_bytes(header)))
        except (OSError, ValueError):
            client.close()
            return None
        if (now := installed()) == self.imported:
            self._fork(client, handles, request)
            return None
        with contextlib.suppress(OSError):
            client.sendall(DECLINED.to_bytes(LENGTH))
        client.close()
        for handle in handles:
            os.close(handle)
        return now

    def _fork(self, client: socket.socket, handles: list[int], request: Request) -> None:
        if threading.active_count() != 1:
            raise RuntimeError(f"the warm parent has threads and cannot fork: {threading.enumerate()}")
        known = {self.listener.fileno(), client.fileno(), *(one.fileno() for one in self.clients), *handles}
        if others := _sockets() - known:
            raise RuntimeError(f"the warm parent has connections, which its children would share: {others}")
        child = os.fork()
        if child == 0:
            self._become_child(client, handles[:3], request.ignored)
            enter(handles[3], handles[4:], request.environment)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no command outlives the parent
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)  # what it starts stays beneath it, daemons too
            raise Child(request)
        for handle in handles:
            os.close(handle)
        self.clients[client] = child
        self.selector.register(client, selectors.EVENT_READ)

    def _become_child(self, client: socket.socket, streams: list[int], ignored: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *PASSED_ON):
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if number in ignored else usual)
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
                            client.sendall(ended[1].to_bytes(LENGTH))
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
                _send(child, number)
        if not data:  # the client is gone, and with it whoever waited for the command
            _kill_tree(child)
            self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        self.selector.unregister(client)
        del self.clients[client]
        client.close()


def installed() -> list[int]:
    """Return what tells one set of installed packages from another: when their folders were last changed."""
    return [folder.stat().st_mtime_ns for folder in PACKAGES]


def _sockets() -> set[int]:
    """Return the descriptors of this process's open sockets."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - quicker, and done at each fork
        with contextlib.suppress(OSError):  # the one that lists the folder
            if stat.S_ISSOCK(os.fstat(int(descriptor)).st_mode):
                found.add(int(descriptor))
    return found


def _send(child: int, number: int) -> None:
    to_group, number = number & TO_GROUP, number & ~TO_GROUP
    if number == signal.SIGTSTP:
        # Nothing of a session without a terminal stops for the key's own signal.
        number = signal.SIGSTOP
    if to_group:
        os.killpg(child, number)
    else:
        os.kill(child, number)


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


def enter(folder: int, handles: list[int], environment: Mapping[str, str]) -> None:
    """Enter the client's folder and namespaces; where it has none of its own, make what its environment asks for."""
    try:
        os.fchdir(folder)  # a namespace that is made next has it too
        if namespaces.join(dict(zip(namespaces.KINDS, handles, strict=True))):
            os.fchdir(folder)
        elif folders := environment.get(FOLDERS):
            namespaces.bind(json.loads(folders))
    except OSError as error:
        print(f"The paths of a deployed DAG cannot be had here ({error}): use paths in the project.", file=sys.stderr)
    for handle in (folder, *handles):
        os.close(handle)


def take_over(request: Request) -> None:
    """Give this forked child the client's environment, command line, limits and priority."""
    with contextlib.suppress(ValueError, OSError):  # where the client may do more, this process cannot follow it
        for number, limit in zip(LIMITS, request.limits, strict=True):
            if resource.getrlimit(number) != limit:
                resource.setrlimit(number, limit)
        if os.getpriority(os.PRIO_PROCESS, 0) != request.nice:
            os.setpriority(os.PRIO_PROCESS, 0, request.nice)
    ours = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.umask(request.umask)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()  # the environment may name another time zone
    sys.argv = request.argv
    sys.excepthook = show_error
    # As the program's own script has it: the script's folder, PYTHONPATH, and the installation.
    theirs = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [sysconfig.get_path("scripts"), *theirs, *(entry for entry in sys.path[1:] if entry not in ours)]
    # Python settled how these buffer when the parent started: settle it again for the client's streams.
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc] # noqa: SIM115
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        binary = open(number, "wb", closefd=False, buffering=0 if unbuffered else -1)  # noqa: SIM115
        by_line = (os.isatty(number) or number == 2) and not unbuffered
        stream = io.TextIOWrapper(binary, errors=errors, line_buffering=by_line, write_through=unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error that ends a command as Python does, from the program's own code on."""
    frame = trace
    while frame:
        if frame.tb_frame.f_code.co_filename in (__file__, preload.__file__, "<frozen runpy>"):
            trace = frame.tb_next or trace
        frame = frame.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def listen(path: str) -> socket.socket:
    """Return a Unix socket that clients can connect to at `path`, from the moment that it is there."""
    listener = socket.socket(socket.AF_UNIX)
    beside = f"{path}.new"
    folder = os.open(Path(path).parent, os.O_PATH)  # by a short path: the address holds 107 characters
    listener.bind(f"/proc/self/fd/{folder}/{Path(beside).name}")
    os.close(folder)
    listener.listen(64)
    Path(beside).rename(path)
    return listener


def main(program: str, path: str) -> int:
    """Preload a program, then serve its commands on the Unix socket at `path`.

    Parameters
    ----------
    program
        A key of `preload.PROGRAMS`.
    path
        Where the socket is to be; `PATH.ready` is written when commands are taken.
    """
    ended: list[int] = []
    atexit.register(_leave, ended)
    handed_over = os.environ.pop(HANDED_OVER, None)
    environment = dict(os.environ)
    imported = installed()
    if handed_over:
        number, running = json.loads(handed_over)
        listener = socket.socket(fileno=number)
        clients = {socket.socket(fileno=int(client)): int(child) for client, child in running.items()}
        for one in (listener, *clients):
            one.set_inheritable(False)
    else:
        listener, clients = listen(path), {}
    gc.disable()  # what imports make, stays: looking through it again and again takes a quarter of the time
    run = preload.PROGRAMS[program]()
    gc.collect()
    gc.freeze()
    gc.enable()
    Path(f"{path}.ready").touch()
    while True:
        try:
            Parent(listener, imported, clients).serve()
            _start_again(listener, clients, environment)
        except Child as child:
            take_over(child.request)
        sandbox = os.environ.get(SANDBOX)
        if sys.argv[0] != SERVE:
            break
        if not sandbox:
            raise RuntimeError("commands are served nowhere but in a sandbox")
        leaf.enter_here(sandbox)
        listener, clients, environment = listen(sys.argv[1]), {}, dict(os.environ)
    if sandbox:
        leaf.guard(sandbox, workers=sys.argv[:2] == ["airflow", "scheduler"])
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


def _start_again(listener: socket.socket, clients: dict[socket.socket, int], environment: dict[str, str]) -> NoReturn:
    print("Packages have changed: starting again.", flush=True)
    for one in (listener, *clients):
        one.set_inheritable(True)
    running = {client.fileno(): child for client, child in clients.items()}
    environment[HANDED_OVER] = json.dumps([listener.fileno(), running])
    os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
