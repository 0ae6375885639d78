"""What `airflow` and `dbt` on PATH run: hand the command to the warm parent, and end as it ended.

Contract: `python -I -S warm_client.py SOCKET REAL PROGRAM ARG…` behaves as REAL would with the same arguments,
folder, environment, streams, signals and exit code. Where no warm parent answers on SOCKET, it becomes REAL.
Imports nothing but small parts of the standard library, since it starts once for each command.
"""

import json
import os
import signal
import socket
import struct
import sys
from typing import NoReturn

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGWINCH, signal.SIGCONT)  # fmt: skip

NAMESPACES = ("/proc/self/ns/user", "/proc/self/ns/mnt")


def main(path: str, real: str, argv: list[str]) -> NoReturn:
    """Run `argv` in a child of the warm parent at `path`, or become the program `real`."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        folder, name = os.path.split(path)
        # By a short path: the address of a socket holds 107 characters.
        connection.connect(f"/proc/self/fd/{os.open(folder, os.O_PATH)}/{name}")
    except OSError:
        os.execv(real, [real, *argv[1:]])  # noqa: S606 - the point of it
    umask = os.umask(0)
    os.umask(umask)
    request = {"argv": argv, "cwd": os.getcwd(), "env": dict(os.environ), "umask": umask}  # noqa: PTH109 - quicker
    body = json.dumps(request).encode()
    # The child enters the namespaces that we are in: a sandbox's, or one in which a path is another's.
    handles = [os.open(path, os.O_RDONLY) for path in NAMESPACES]
    socket.send_fds(connection, [struct.pack("!I", len(body))], [0, 1, 2, *handles])

    def pass_on(number: int, _: object) -> None:
        connection.send(bytes([number]))

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    connection.sendall(body)
    answer = b""
    while len(answer) < 4:
        if not (part := connection.recv(4 - len(answer))):
            sys.stderr.write("The warm Airflow ended while this command ran.\n")
            sys.exit(1)
        answer += part
    (status,) = struct.unpack("!I", answer)
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
