"""What `airflow` and `dbt` on PATH run: hand the command to the warm parent, and end as it ended.

Contract: `python -I -S warm_client.py SOCKET REAL PROGRAM ARG…` behaves as REAL would with the same arguments,
folder, environment, streams, signals and exit code. Where no warm parent answers on SOCKET, or it cannot take this
command, it says so and becomes REAL. Since it starts once for each command, it imports little: of `socket` and `signal`
the parts written in C, which bring no enumerations with them, and halve the time that it takes.

One thing differs: the command has no controlling terminal, since that cannot be handed over. It reads from and writes
to the terminal, and is interrupted and stopped by its keys; but it can read it while in the background, too.
"""

import fcntl
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from typing import NoReturn
else:
    import _signal as signal
    import _socket as socket

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP)  # fmt: skip

TO_GROUP = 0x80
"""Added to the number of a signal that goes to all processes of the command: one that a key of the terminal sends."""

SI_KERNEL = 0x80
"""Linux's si_code of such a signal."""

SERVE = "serve"
"""The program that a warm parent has of its own: take commands, in the sandbox that the environment names."""

SANDBOX = "COURSE_SANDBOX"
"""Environment variable: the sandbox that a process may start others in; it never does without its warm parent."""

LENGTH = 4
"""Bytes of a number, its highest byte first."""

DECLINED = 0xFFFFFFFF
"""Answered in place of how the command ended: run it without me."""

LIMITS = sorted({number for name, number in vars(resource).items() if name.startswith("RLIMIT_")})
NAMESPACES = ("/proc/self/ns/user", "/proc/self/ns/mnt")


def main(path: str, real: str, argv: list[str]) -> "NoReturn":
    """Run `argv` in a child of the warm parent at `path`, or become the program `real`."""
    try:
        for stream in range(3):
            os.fstat(stream)
    except OSError:  # closed, and cannot be handed over
        os.execv(real, [real, *argv[1:]])  # noqa: S606 - the point of it
    connection = socket.socket(socket.AF_UNIX)
    try:
        folder, name = os.path.split(path)
        # By a short path: the address of a socket holds 107 characters.
        connection.connect(f"/proc/self/fd/{os.open(folder, os.O_PATH)}/{name}")
    except OSError:
        _become(real, argv, "the warm parent has ended")
    heeded: set[int] = {number for number in PASSED_ON if signal.getsignal(number) != signal.SIG_IGN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*heeded, signal.SIGIO})
    umask = os.umask(0)
    os.umask(umask)
    limits = [limit for number in LIMITS for limit in resource.getrlimit(number)]
    ignored = [number for number in PASSED_ON if number not in heeded]
    numbers = ([umask], [os.getpriority(os.PRIO_PROCESS, 0)], limits, ignored, [len(argv)])
    # None of them can have a null byte in it.
    parts = [*(" ".join(map(str, some)).encode() for some in numbers), *map(os.fsencode, argv)]
    body = b"\0".join([*parts, *(name + b"=" + value for name, value in os.environb.items())])
    # The folder by a descriptor: it may have been removed, or its path be too long. The child also enters the
    # namespaces that we are in: a sandbox's, or one in which a path is another's.
    handles = [os.open(".", os.O_PATH), *(os.open(path, os.O_RDONLY) for path in NAMESPACES)]
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, *handles))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
    connection.sendmsg([len(body).to_bytes(LENGTH)], ancillary)
    connection.sendall(body)
    status = _wait(connection, heeded)
    if status == DECLINED:
        _let_go(connection, before)
        _become(real, argv, "packages have changed, so the warm parent starts again")
    if status is None:
        sys.stderr.write(f"{argv[0]}: the warm parent ended while this command ran, and the command with it.\n")
        sys.exit(1)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    sys.exit(os.waitstatus_to_exitcode(status))


def _let_go(connection: "socket.socket", before: "set[int | signal.Signals]") -> None:
    """Close the connection, and let the signals through again, but the one that it may still have sent."""
    connection.close()
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # forgets one that is pending, which would end this process
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    signal.signal(signal.SIGIO, signal.SIG_DFL)


def _become(real: str, argv: list[str], why: str) -> "NoReturn":
    if os.environ.get(SANDBOX):  # the real command would run a student's code outside
        sys.exit(f"{argv[0]}: {why}.")
    sys.stderr.write(f"{argv[0]}: {why}; this command starts by itself, which takes seconds.\n")
    os.execv(real, [real, *argv[1:]])  # noqa: S606 - the point of it


def _wait(connection: "socket.socket", heeded: set[int]) -> int | None:
    """Pass signals on until the parent says how the command ended; return that, or None if it never does."""
    # The kernel tells of an answer by a signal as well, so that one call waits for both.
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    answer = b""
    while len(answer) < LENGTH:
        try:
            if not (part := connection.recv(LENGTH - len(answer))):
                return None
            answer += part
        except ConnectionError:
            return None
        except BlockingIOError:
            told = signal.sigwaitinfo({*heeded, signal.SIGIO})
            if told.si_signo != signal.SIGIO:
                _pass_on(connection, told)
    return int.from_bytes(answer)


def _pass_on(connection: "socket.socket", told: "signal.struct_siginfo") -> None:
    number = told.si_signo
    by_a_key = told.si_code == SI_KERNEL or number in (signal.SIGTSTP, signal.SIGCONT)
    try:
        connection.send(bytes([number | (TO_GROUP if by_a_key else 0)]))
        if number == signal.SIGTSTP:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            os.kill(os.getpid(), number)  # returns when this process has been continued, or could not be stopped
            signal.pthread_sigmask(signal.SIG_BLOCK, {number})
            connection.send(bytes([signal.SIGCONT | TO_GROUP]))
    except OSError:
        return  # the parent has ended, which the next look at the connection tells


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
