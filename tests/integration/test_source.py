"""The source, a real process spoken to over HTTP, behaves as TLC's site does and says what it served."""

import http.client
import json
import select
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from autograder.airflow_local.source import read_log, write_faults
from autograder.paths import ROOT

JANUARY = "/trip-data/green_tripdata_2024-01.parquet"
ZONES = "/misc/taxi_zone_lookup.csv"
BIG = "/misc/big.bin"
COMMAND = [sys.executable, "-m", "autograder.airflow_local.source"]

January = bytes(range(256)) * 300
big_size = 64_000_000


@dataclass
class Running:
    """A server in a process, and the files it was given."""

    process: subprocess.Popen[str]
    port: int
    root: Path
    log: Path
    faults: Path
    http: httpx.Client

    def logged(self, **wanted: object) -> list[dict[str, Any]]:
        return [line for line in read_log(self.log) if wanted.items() <= line.items()]

    def raw(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask for a path as it stands, without a client that tidies it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body


def until(holds: Callable[[], Any], limit: float = 10) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    root = folder / "www"
    for name, content in ((JANUARY, January), (ZONES, b"LocationID,Borough\r\n"), ("/secret.txt", b"secret")):
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / name[1:]).write_bytes(content)
    (root / "trip-data" / ".hidden").write_bytes(b"secret")
    (root / "trip-data" / "folder").mkdir()
    (folder / "secret.txt").write_bytes(b"secret")
    with (root / BIG[1:]).open("wb") as file:
        file.truncate(big_size)
    log, faults = folder / "access.jsonl", root / "misc" / ".faults"
    process = subprocess.Popen(
        [*COMMAND, "--root", str(root), "--log", str(log), "--faults", str(faults)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 20)[0], "the source does not say where it listens"
        port = json.loads(process.stdout.readline())["port"]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            yield Running(process, port, root, log, faults, client)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("source")) as server:
        yield server


@pytest.fixture
def source(shared: Running) -> Running:
    """Return the module's server, without faults."""
    shared.faults.unlink(missing_ok=True)
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Running]:
    """Return a server that the test may end or break."""
    with running(tmp_path) as server:
        yield server


def code_of(answer: httpx.Response) -> str | None:
    assert answer.headers["content-type"] == "application/xml"
    return ET.fromstring(answer.content).findtext("Code")


def test_it_listens_on_the_loopback_only_where_it_said(source: Running) -> None:
    heard = [it for it in psutil.Process(source.process.pid).net_connections() if it.status == psutil.CONN_LISTEN]
    assert [tuple(it.laddr) for it in heard] == [("127.0.0.1", source.port)]


@pytest.mark.parametrize(
    ("path", "kind"), [(JANUARY, "application/vnd.apache.parquet"), (ZONES, "text/csv; charset=utf-8")]
)
def test_a_file_is_served_whole_with_its_headers(source: Running, path: str, kind: str) -> None:
    answer = source.http.get(path)
    file = source.root / path[1:]
    assert answer.status_code == 200
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-length"] == str(file.stat().st_size)
    assert answer.headers["accept-ranges"] == "bytes"
    modified = datetime.strptime(answer.headers["last-modified"], "%a, %d %b %Y %H:%M:%S GMT")
    assert modified.replace(tzinfo=UTC).timestamp() == int(file.stat().st_mtime)


def test_head_gives_the_headers_of_get_alone(source: Running) -> None:
    whole, head = source.http.get(JANUARY), source.http.head(JANUARY)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "last-modified"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(("asked", "part"), [("bytes=100-299", slice(100, 300)), ("bytes=-8", slice(-8, None))])
def test_a_range_is_served_alone(source: Running, asked: str, part: slice) -> None:
    answer = source.http.get(JANUARY, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == January[part]
    start, stop, _ = part.indices(len(January))
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(January)}"


def test_a_range_behind_the_end_is_refused(source: Running) -> None:
    answer = source.http.get(JANUARY, headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(January)}"


def test_a_file_that_the_client_has_is_not_sent_again(source: Running) -> None:
    etag = source.http.get(JANUARY).headers["etag"]
    assert source.http.get(JANUARY, headers={"If-None-Match": etag}).status_code == 304
    assert source.http.get(JANUARY, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["/trip-data/green_tripdata_2031-01.parquet", "/misc/nothing.csv", "/other"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_published_is_forbidden(source: Running, path: str, method: str) -> None:
    answer = source.http.request(method, path)
    assert answer.status_code == 403
    if method == "GET":
        assert code_of(answer) == "AccessDenied"


def test_nothing_can_be_uploaded(source: Running) -> None:
    answer = source.http.put(JANUARY, content=b"mine")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert code_of(answer) == "MethodNotAllowed"
    assert (source.root / JANUARY[1:]).read_bytes() == January


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/secret.txt",
        "/trip-data",
        "/trip-data/",
        "/trip-data/folder",
        "/trip-data/folder/",
        "/trip-data/.hidden",
        "/trip-data/../secret.txt",
        "/trip-data/../../secret.txt",
        "/trip-data/%2e%2e/secret.txt",
        "/trip-data/..%2fsecret.txt",
        "/trip-data/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/trip-data/..%5csecret.txt",
        "/trip-data/%252e%252e%252fsecret.txt",
        "/misc/../trip-data/.hidden",
        "/misc/.faults",
        "//trip-data/green_tripdata_2024-01.parquet",
        "/trip-data//etc/hostname",
        "/trip-data/%00",
        "/trip-data/green_tripdata_2024-01.parquet%00.csv",
        "/trip-data/green_tripdata_2024-01.parquet/",
        "/trip-data/green_tripdata_2024-01.parquet%0a",
        "/trip-data/" + "x" * 300,
    ],
)
def test_no_path_leads_to_a_listing_or_out_of_the_folders(source: Running, path: str) -> None:
    write_faults(source.faults, {})
    status, body = source.raw(path)
    assert status == 403
    assert ET.fromstring(body).findtext("Code") == "AccessDenied"


def test_the_log_says_what_was_asked_and_answered(source: Running) -> None:
    before = datetime.now(UTC)
    agent = {"User-Agent": "one-of-a-kind"}
    source.http.get(JANUARY + "?again", headers=agent | {"Range": "bytes=0-9"})
    source.http.head(ZONES, headers=agent)
    missing = source.http.get("/misc/no%20such", headers=agent)
    source.http.head("/misc/none", headers=agent)
    until(lambda: len(source.logged(user_agent="one-of-a-kind")) == 4)
    after = datetime.now(UTC)
    ranged, head, forbidden, head_of_none = source.logged(user_agent="one-of-a-kind")
    for line in (ranged, head, forbidden, head_of_none):
        assert before <= datetime.fromisoformat(line.pop("time")) <= after
        assert line.pop("user_agent") == "one-of-a-kind"
    assert ranged == {"method": "GET", "path": JANUARY, "status": 206, "bytes": 10, "range": "bytes=0-9"}
    assert head == {"method": "HEAD", "path": ZONES, "status": 200, "bytes": 0, "range": None}
    size = len(missing.content)
    assert forbidden == {
        "method": "GET",
        "path": "/misc/no such",
        "status": 403,
        "bytes": size,
        "range": None,
    }
    assert head_of_none == {"method": "HEAD", "path": "/misc/none", "status": 403, "bytes": 0, "range": None}


def test_a_line_is_written_when_the_answer_was_sent_and_not_before(source: Running) -> None:
    with source.http.stream("GET", BIG, headers={"User-Agent": "slow"}) as answer:
        chunks = answer.iter_bytes()
        received = len(next(chunks))
        # Another request is served and logged meanwhile; this one cannot be finished yet.
        httpx.get(f"http://127.0.0.1:{source.port}{ZONES}", headers={"User-Agent": "quick"})
        until(lambda: source.logged(user_agent="quick"))
        assert not source.logged(user_agent="slow")
        received += sum(map(len, chunks))
    assert received == big_size
    until(lambda: source.logged(user_agent="slow"))
    (line,) = source.logged(user_agent="slow")
    assert line["bytes"] == big_size


def test_a_download_that_is_broken_off_is_logged_with_what_was_sent(source: Running) -> None:
    with httpx.stream("GET", f"http://127.0.0.1:{source.port}{BIG}", headers={"User-Agent": "gone"}) as answer:
        next(answer.iter_bytes())
    until(lambda: source.logged(user_agent="gone"))
    (line,) = source.logged(user_agent="gone")
    assert line["status"] == 200
    assert 0 < line["bytes"] < big_size


def test_requests_at_once_give_whole_lines(source: Running) -> None:
    def ask(number: int) -> int:
        return source.http.get(JANUARY, headers={"User-Agent": f"many-{number}"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(24))) == {200}
    names = {f"many-{number}" for number in range(24)}
    until(lambda: names <= {line["user_agent"] for line in read_log(source.log)})


def test_a_line_that_is_not_whole_yet_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"status": 200}\n{"status": 4')
    assert read_log(tmp_path / "log") == [{"status": 200}]


def statuses(source: Running, path: str, times: int) -> list[int]:
    return [source.http.get(path).status_code for _ in range(times)]


def test_a_status_is_answered_as_often_as_asked_for(source: Running) -> None:
    write_faults(source.faults, {JANUARY: [{"status": 503, "times": 2}, {"status": 404, "times": 1}]})
    assert statuses(source, ZONES, 1) == [200]
    assert code_of(source.http.get(JANUARY)) == "ServiceUnavailable"
    assert statuses(source, JANUARY, 4) == [503, 404, 200, 200]


def test_a_fault_without_times_lasts_until_the_file_goes(source: Running) -> None:
    write_faults(source.faults, {JANUARY: [{"status": 500}]})
    assert statuses(source, JANUARY, 5) == [500] * 5
    source.faults.unlink()
    assert statuses(source, JANUARY, 1) == [200]


def test_faults_that_are_asked_for_again_count_anew(source: Running) -> None:
    for _ in range(3):
        write_faults(source.faults, {JANUARY: [{"status": 503, "times": 1}]})
        assert statuses(source, JANUARY, 2) == [503, 200]


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=10-19"}])
def test_damage_is_half_a_file_that_looks_whole(source: Running, headers: dict[str, str]) -> None:
    write_faults(source.faults, {JANUARY: [{"damage": True, "times": 1}]})
    answer = source.http.get(JANUARY, headers=headers)
    assert answer.status_code == 200
    assert answer.content == January[: len(January) // 2]
    assert answer.headers["content-length"] == str(len(January) // 2)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert source.http.get(JANUARY).content == January


def test_a_month_that_is_not_there_cannot_be_damaged(source: Running) -> None:
    path = "/trip-data/green_tripdata_2031-01.parquet"
    write_faults(source.faults, {path: [{"damage": True}]})
    assert statuses(source, path, 1) == [403]


def test_faults_cannot_be_asked_for_over_http(source: Running) -> None:
    write_faults(source.faults, {JANUARY: [{"status": 503}]})
    for path in ("/misc/.faults", "/misc/.faults.draft", "/.faults"):
        assert source.raw(path)[0] == 403
        assert source.raw(path, "PUT")[0] == 405
        assert source.raw(path, "DELETE")[0] == 405
    assert statuses(source, JANUARY, 1) == [503]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(own: Running, number: int) -> None:
    assert own.http.get(JANUARY).status_code == 200  # and the connection stays open
    own.process.send_signal(number)
    output, errors = own.process.communicate(timeout=10)
    assert own.process.returncode == 0
    assert (output, errors) == ("", "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{own.port}{JANUARY}")


def test_a_client_that_stopped_reading_does_not_keep_it_alive(own: Running) -> None:
    with own.http.stream("GET", BIG, headers={"User-Agent": "asleep"}):
        own.process.terminate()
        assert own.process.wait(timeout=10) == 0
    (line,) = own.logged(user_agent="asleep")
    assert line["bytes"] < big_size


def refusal(*arguments: object) -> str:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        says = refusal("--root", tmp_path, "--log", tmp_path / "log", "--port", port)
    what, where, todo = says.splitlines()
    assert what.startswith(f"The source cannot listen on port {port}: ")
    assert "Address already in use" in what
    assert where == f"  where: 127.0.0.1:{port}"
    assert todo == "  to do: End what listens there, or use --port 0, which takes a free port."


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    assert refusal("--root", tmp_path, "--log", tmp_path / "log", "--port", 70000).startswith(
        "The source cannot listen on port 70000: bind(): port must be 0-65535."
    )


def test_a_root_that_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal("--root", tmp_path / "none", "--log", tmp_path / "log") == (
        f"There is nothing to serve: {tmp_path / 'none'} is not a folder.\n"
        f"  where: {tmp_path / 'none'}\n"
        "  to do: Name the folder that `months.stock` filled: it holds trip-data and misc.\n"
    )


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    assert refusal("--root", tmp_path, "--log", tmp_path / "none" / "log") == (
        "The access log cannot be written: No such file or directory.\n"
        f"  where: {tmp_path / 'none' / 'log'}\n"
        "  to do: Name a file in a folder that exists and can be written.\n"
    )


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import autograder.airflow_local.source", {"numpy", "pyarrow", "pandas"}),
        (
            "from pathlib import Path; from autograder.airflow_local import months; "
            "months.stock(Path('www'), ['2024-01'], rows=100, seed='', data=None)",
            {"pandas"},
        ),
    ],
)
def test_what_starts_with_each_run_is_light(tmp_path: Path, statement: str, heavy: set[str]) -> None:
    code = f"{statement}; import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert not heavy & set(json.loads(done.stdout))
