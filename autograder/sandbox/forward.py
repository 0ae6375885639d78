"""Ports of 127.0.0.1 that are the same inside a sandbox.

Contract: `python -m autograder.sandbox.forward DESCRIPTION PORT…` listens on the ports in the sandbox's network
namespace and connects each caller with the same port outside, until it is ended. It prints "ready" once it listens.
Outside it comes from `CONFINED_ADDRESS`, so that Postgres knows who comes from a sandbox.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import socket
import sys
from pathlib import Path

from autograder.airflow_local import leaf
from autograder.airflow_local.postgres import CONFINED_ADDRESS

MOST = 200
"""Connections at once; further callers wait."""

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def listeners(pid: int, ports: list[int]) -> list[socket.socket]:
    """Return sockets that listen on `ports` in the network namespace of a process."""
    ours, theirs = socket.socketpair()
    holder = os.pidfd_open(pid)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if ctypes.CDLL(None, use_errno=True).setns(holder, CLONE_NEWUSER | CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            made = [socket.create_server(("127.0.0.1", port), backlog=64) for port in ports]
            socket.send_fds(theirs, [b"."], [one.fileno() for one in made])
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    os.close(holder)
    with ours:
        _, handles, *_ = socket.recv_fds(ours, 1, len(ports))
    if os.waitpid(child, 0)[1]:
        raise OSError("the sandbox's network cannot be entered")
    return [socket.socket(fileno=handle) for handle in handles]


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    with contextlib.suppress(OSError):
        there, back = await asyncio.open_connection("127.0.0.1", port, local_addr=(CONFINED_ADDRESS, 0))
        ways = [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]
        await asyncio.wait(ways)
        back.close()
    writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    # Whichever side has no more to say: a Postgres that ends a session ends it for the caller at once.
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof() if writer.can_write_eof() else writer.close()


async def serve(pid: int, ports: list[int]) -> None:
    """Forward until the process ends."""
    busy = asyncio.Semaphore(MOST)

    async def one(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with busy:
            await _connect(reader, writer, port)

    for port, listener in zip(ports, listeners(pid, ports), strict=True):
        await asyncio.start_server(functools.partial(one, port), sock=listener)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main(description: str, *ports: str) -> None:
    """Read the command line and forward."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sandbox = leaf.described(description)
    if leaf.started(sandbox["pid"]) != sandbox["started"] or not Path(f"/proc/{sandbox['pid']}").exists():
        sys.exit("The sandbox has ended.")
    asyncio.run(serve(sandbox["pid"], [int(port) for port in ports]))


if __name__ == "__main__":
    main(*sys.argv[1:])
