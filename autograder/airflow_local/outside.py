"""What a pipeline finds outside, beside the source: TLC's own host, and the receiver of its notifications.

Contract: a process of its own (`python -m autograder.airflow_local.outside --source PORT --folder DIR`). An HTTP
proxy answers for TLC's host, over TLS with a certificate of an authority made for it (DIR/ca.pem), with what the
source serves; any other host gets 403. A second port takes any request as a notification. Both are told of on stdout
(`{"proxy": N, "notify": N}`) once they listen, and keep a log of JSON lines: DIR/proxy.jsonl (time, method, host,
allowed), DIR/notify.jsonl (time, method, path, body).
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import trustme
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

TLC_HOST = "d37ci6vzurychx.cloudfront.net"
CERTIFICATE_SETTINGS = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""How Python's ssl, requests and curl are told of a certificate authority."""

BODY_KEPT = 2000
"""Characters of a notification's body that are kept."""


def _write(log: Path, line: Mapping[str, object]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": datetime.now(UTC).isoformat(), **line}) + "\n")


class Proxy:
    """Answers as an HTTP proxy.

    Parameters
    ----------
    source
        The port of the source on 127.0.0.1.
    authority
        Vouches for TLC's host.
    log
        One line for each request or tunnel.
    """

    def __init__(self, source: int, authority: trustme.CA, log: Path) -> None:
        self._source = source
        self._log = log
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(TLC_HOST).configure_cert(self._tls)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError, ssl.SSLError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, version = head.partition("\r\n")[0].split()
            address = urlsplit(f"//{target}" if method == "CONNECT" else target)
            allowed = address.hostname == TLC_HOST
            _write(self._log, {"method": method, "host": address.hostname, "allowed": allowed})
            if not allowed:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
                first = f"{method} {path} {version}\r\n{head.partition(chr(10))[2]}".encode("latin-1")
                if method == "CONNECT":
                    first = b""
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await writer.drain()
                    await writer.start_tls(self._tls)
                await self._through(reader, writer, first)
        writer.close()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        """Pass on what either side says until one has no more to say."""
        source_reader, source_writer = await asyncio.open_connection("127.0.0.1", self._source)
        source_writer.write(first)

        async def pump(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await one.read(65536):
                    other.write(data)
                    await other.drain()

        ways = [asyncio.create_task(pump(reader, source_writer)), asyncio.create_task(pump(source_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        source_writer.close()


def receiver(log: Path) -> uvicorn.Server:
    """Return a server that takes any request as a notification, and answers "ok"."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        async for part in Request(scope, receive).stream():  # never all of it at once: it may have no end
            body += part[: 4 * BODY_KEPT - len(body)]
        text = body.decode("utf-8", errors="replace")[:BODY_KEPT]
        _write(log, {"method": scope["method"], "path": scope["path"], "body": text})
        await PlainTextResponse("ok")(scope, receive, send)

    return uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", access_log=False, log_level="warning"))


async def serve(source: int, folder: Path) -> None:
    """Serve both ports until the process ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as notify:
        proxy = await asyncio.start_server(Proxy(source, authority, folder / "proxy.jsonl"), "127.0.0.1", 0)
        ports = {"proxy": proxy.sockets[0].getsockname()[1], "notify": notify.getsockname()[1]}
        print(json.dumps(ports), flush=True)
        await receiver(folder / "notify.jsonl").serve([notify])


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m autograder.airflow_local.outside")
    parser.add_argument("--source", type=int, required=True, help="the source's port on 127.0.0.1")
    parser.add_argument("--folder", type=Path, required=True, help="for ca.pem and the logs")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(serve(asked.source, asked.folder))


if __name__ == "__main__":
    main()
