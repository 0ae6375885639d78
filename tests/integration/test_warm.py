"""A command that a warm parent runs behaves as the command itself does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from autograder.airflow_local import warm_client
from autograder.airflow_local.session import Session

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="warm parents are used on Linux only"),
]

PROBE = Path(__file__).with_name("warm_probe.py")
REAL = [sys.executable, str(PROBE)]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session.open(tmp_path_factory.mktemp("state")) as opened:
        yield opened


@pytest.fixture(scope="module")
def parent(session: Session) -> subprocess.Popen[bytes]:
    process = session.start("probe", [*REAL, "serve", str(session.folder / "probe")])
    session.wait_until((session.folder / "probe").exists, "The probe", process=process, name="probe", limit=30)
    return process


@pytest.fixture
def warm(session: Session, parent: subprocess.Popen[bytes]) -> list[str]:
    client = [sys.executable, "-I", "-S", str(warm_client.__file__)]
    return [*client, str(session.folder / "probe"), "/bin/false", str(PROBE)]


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["echo"], b"some text\n" * 100_000),
        (["echo"], b""),
        (["bytes"], b""),
        (["streams"], b""),
        (["place"], b""),
        (["place", "an argument with spaces", "", "ünïcode"], b""),
        (["exit", "0"], b""),
        (["exit", "7"], b""),
        (["exit", "a message"], b""),
        (["kill", str(int(signal.SIGKILL))], b""),
        (["kill", str(int(signal.SIGTERM))], b""),
        (["kill", str(int(signal.SIGSEGV))], b""),
        (["thread"], b""),
        (["atexit"], b""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else f"{len(value)} bytes",
)
def test_same_as_the_real_command(warm: list[str], arguments: list[str], stdin: bytes, tmp_path: Path) -> None:
    env = {**os.environ, "PROBE": "a value\nwith two lines"}
    outcomes = [
        subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=env,
            umask=0o027,
            timeout=30,
            check=False,
        )
        for command in (REAL, warm)
    ]
    real, ours = [(one.returncode, one.stdout, one.stderr) for one in outcomes]
    assert ours == real


def test_an_exception_ends_with_its_traceback(warm: list[str]) -> None:
    done = subprocess.run([*warm, "raise"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: on purpose\n")


def test_output_that_nobody_reads_ends_as_with_the_real_command(warm: list[str]) -> None:
    outcomes = []
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for command in (REAL, warm):
        read, write = os.pipe()
        os.close(read)
        argv = [*command, "streams"]
        done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, text=True, env=buffered, check=False)
        os.close(write)
        outcomes.append((done.returncode, "BrokenPipeError" in done.stderr))
    assert outcomes[1] == outcomes[0] == (120, True)


def test_no_descriptor_of_the_parent_reaches_the_child(warm: list[str]) -> None:
    done = subprocess.run([*warm, "place", "fds"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    # The fourth is the one that lists the folder.
    assert done.stdout.splitlines()[1].endswith("['0', '1', '2', '3']")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("handled", [True, False])
def test_signals_reach_the_command(warm: list[str], number: signal.Signals, handled: bool) -> None:
    codes = []
    for command in (REAL, warm):
        argv = [*command, "wait", *([str(int(number))] if handled else [])]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            codes.append(process.wait(timeout=20))
    assert codes[1] == codes[0]


def test_killing_the_client_ends_the_command(warm: list[str], parent: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen([*warm, "wait"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (child,) = psutil.Process(parent.pid).children()
        process.kill()
        child.wait(timeout=20)


def test_many_at_once_keep_apart(warm: list[str]) -> None:
    processes = [
        subprocess.Popen([*warm, "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(20)
    ]
    outputs = [process.communicate(f"number {place}", timeout=30)[0] for place, process in enumerate(processes)]
    assert outputs == [f"NUMBER {place}" for place in range(20)]


def test_without_a_parent_the_real_command_runs(tmp_path: Path) -> None:
    client = [sys.executable, "-I", "-S", str(warm_client.__file__), str(tmp_path / "nobody"), sys.executable, "python"]
    done = subprocess.run([*client, "-c", "print('real')"], capture_output=True, text=True, check=True)
    assert done.stdout == "real\n"


def test_the_parent_killed_in_mid_run_is_told(session: Session, tmp_path: Path) -> None:
    socket = session.folder / "short-lived"
    mortal = session.start("mortal", [*REAL, "serve", str(socket)])
    session.wait_until(socket.exists, "The probe", process=mortal, name="mortal", limit=30)
    client = [sys.executable, "-I", "-S", str(warm_client.__file__), str(socket), "/bin/false", str(PROBE)]
    with subprocess.Popen([*client, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        mortal.kill()
        assert process.stderr.read() == "The warm Airflow ended while this command ran.\n"
        assert process.wait(timeout=20) == 1
