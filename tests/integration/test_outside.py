"""The receiver of notifications, by itself: what it keeps of what it gets."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autograder.airflow_local.outside import BODY_KEPT

MB = 2**20
SENT_MB = 400


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Start it; return its process, and the port of notifications."""
    argv = [sys.executable, "-m", "autograder.airflow_local.outside", "--source", "1", "--folder", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield psutil.Process(process.pid), json.loads(process.stdout.readline())["notify"]
        process.kill()


def test_a_body_without_end_is_not_kept(outside: tuple[psutil.Process, int], tmp_path: Path) -> None:
    process, port = outside
    before = process.memory_info().rss
    most = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as caller:
        caller.sendall(b"POST /http HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(SENT_MB):
            caller.sendall(b"%x\r\n%s\r\n" % (MB, b"x" * MB))
            most = max(most, process.memory_info().rss)
        caller.sendall(b"0\r\n\r\n")
        assert b"200 OK" in caller.recv(1000)  # all of it was taken
    assert most - before < 100 * MB
    (line,) = (tmp_path / "notify.jsonl").read_text().splitlines()
    assert json.loads(line)["body"] == "x" * BODY_KEPT
