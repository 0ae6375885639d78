"""A command that a warm parent runs behaves as the command itself does."""

import contextlib
import os
import pty
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import termios
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import psutil
import pytest

from autograder.airflow_local import warm_client
from autograder.airflow_local.session import Session
from autograder.paths import ROOT

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


def serve(session: Session, name: str, *packages: Path, env: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
    """Start a warm parent of the probe that looks at `packages` for changes."""
    process = session.start(name, [*REAL, "serve", str(session.folder / name), *map(str, packages)], env=env)
    ready = (session.folder / f"{name}.ready").exists
    session.wait_until(ready, "The probe", process=process, name=name, limit=30)
    return process


def client(session: Session, name: str, real: str = "/bin/false") -> list[str]:
    """Return the command that runs the probe by its warm parent."""
    return [sys.executable, "-I", "-S", str(warm_client.__file__), str(session.folder / name), real, str(PROBE)]


@pytest.fixture(scope="module")
def parent(session: Session) -> subprocess.Popen[bytes]:
    return serve(session, "probe")


@pytest.fixture
def warm(session: Session, parent: subprocess.Popen[bytes]) -> list[str]:
    return client(session, "probe")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["echo"], b"some text\n" * 100_000),
        (["echo"], b""),
        (["bytes"], b""),
        (["streams"], b""),
        (["place"], b""),
        (["place", "an argument with spaces", "", "ünïcode"], b""),
        (["surrogate"], b""),
        (["lines"], b""),
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
    said = []
    for command in (REAL, warm):
        done = subprocess.run([*command, "raise"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        said.append(done.stderr.splitlines())
    real, ours = said
    assert ours[0] == real[0] == "Traceback (most recent call last):"
    assert 1 < len(ours) < len(real), "without the frames before the program's own function: the script's, or ours"
    assert ours[1:] == real[1 - len(ours) :]


def test_limits_priority_and_time_zone(warm: list[str]) -> None:
    script = 'ulimit -n 100; exec nice -n 5 "$@" limits'
    env = {**os.environ, "TZ": "Asia/Tokyo"}
    real, ours = (
        subprocess.run(["sh", "-c", script, "sh", *command], env=env, capture_output=True, text=True, check=True).stdout
        for command in (REAL, warm)
    )
    assert real.startswith("(100, 100)")
    assert real.endswith("JST\n")
    assert ours == real


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
    command = [
        sys.executable,
        "-I",
        "-S",
        str(warm_client.__file__),
        str(tmp_path / "nobody"),
        sys.executable,
        "python",
    ]
    done = subprocess.run([*command, "-c", "print('real')"], capture_output=True, text=True, check=True)
    assert done.stdout == "real\n"
    told = "python: the warm parent has ended; this command starts by itself, which takes seconds.\n"
    assert done.stderr == told


def test_the_parent_killed_in_mid_run_is_told(session: Session) -> None:
    mortal = serve(session, "mortal")
    with subprocess.Popen(
        [*client(session, "mortal"), "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        (child,) = psutil.Process(mortal.pid).children()
        mortal.kill()
        told = f"{PROBE}: the warm parent ended while this command ran, and the command with it.\n"
        assert process.stderr.read() == told
        assert process.wait(timeout=20) == 1
        child.wait(timeout=20)


def test_a_command_given_while_the_parent_imports_waits_for_it(session: Session) -> None:
    process = session.start("slow", [*REAL, "serve", str(session.folder / "slow")])
    session.wait_until((session.folder / "slow").exists, "The probe", process=process, name="slow", limit=30)
    done = subprocess.run([*client(session, "slow"), "exit", "7"], timeout=30, check=False)
    assert done.returncode == 7


def test_what_a_child_takes_from_the_start_of_a_python(warm: list[str], tmp_path: Path) -> None:
    real = subprocess.run([*REAL, "path"], env={"PYTHONPATH": f"{tmp_path}:/nowhere"}, capture_output=True, text=True)
    ours = subprocess.run([*warm, "path"], env={"PYTHONPATH": f"{tmp_path}:/nowhere"}, capture_output=True, text=True)
    # The first is the folder of the script: the probe's, and that of `airflow` and `dbt`.
    assert ours.stdout.splitlines()[1:] == real.stdout.splitlines()[1:]
    assert ours.stdout.splitlines()[0] == sysconfig.get_path("scripts")


def test_each_child_draws_its_own_numbers(warm: list[str]) -> None:
    drawn = [subprocess.run([*warm, "random"], capture_output=True, check=True).stdout for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_closed_streams_and_a_removed_folder(warm: list[str], session: Session, parent: object) -> None:
    for streams in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        codes = [
            subprocess.run(["sh", "-c", f'exec "$@" {streams}', "sh", *command, "exit", "7"], check=False).returncode
            for command in (REAL, client(session, "probe", real=shutil.which("true") or ""))
        ]
        assert codes == [7, 0], "the real command takes over"
    done = subprocess.run(
        ["sh", "-c", 'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "sh", *warm, "exit", "7"],
        cwd=session.folder, check=False,
    )  # fmt: skip
    assert done.returncode == 7


def test_what_reads_the_output_may_stop(warm: list[str]) -> None:
    outcomes = []
    for command in (REAL, warm):
        script = '"$@" lines | head -1; echo "${PIPESTATUS[@]}"'
        done = subprocess.run(["bash", "-c", script, "bash", *command], capture_output=True, text=True, timeout=30)
        outcomes.append((done.stdout, done.stderr.splitlines()[-1:]))
    assert outcomes[1] == outcomes[0]
    assert outcomes[0][0].startswith("0\n")


@pytest.mark.parametrize("script", ['trap "" INT HUP; exec "$@"', '"$@" & wait $!'], ids=["nohup", "background"])
def test_ignored_signals_stay_ignored(warm: list[str], script: str) -> None:
    for command in (REAL, warm):
        with subprocess.Popen(
            ["sh", "-c", script, "sh", *command, "wait"], stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            os.killpg(process.pid, signal.SIGINT)
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)
            assert process.stdout.read() == b""
            assert process.returncode == -signal.SIGTERM


def test_a_thread_or_a_connection_forbids_the_fork(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name, value, reason in (
            ("PROBE_THREAD", "1", "has threads and cannot fork"),
            ("PROBE_CONNECTION", str(server.getsockname()[1]), "has connections, which its children would share"),
        ):
            process = serve(session, name, env={name: value})
            done = subprocess.run([*client(session, name), "exit", "0"], capture_output=True, timeout=30, check=False)
            assert done.returncode == 1
            assert process.wait(timeout=20) == 1
            assert reason in (session.logs / f"{name}.log").read_text()


def test_changed_packages_are_noticed(session: Session, tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    process = serve(session, "upgraded", packages)
    command = client(session, "upgraded", real=shutil.which("true") or "")
    progress = tmp_path / "progress"
    with (
        subprocess.Popen([*command, "count", str(progress)], stdout=subprocess.PIPE) as running,
        contextlib.ExitStack() as at_last,
    ):
        at_last.callback(running.kill)
        assert running.stdout is not None
        running.stdout.readline()
        assert (session.logs / "upgraded.log").read_text().count("imported") == 1
        (packages / "another-1.0.dist-info").mkdir()
        declined = subprocess.run([*command, "exit", "7"], capture_output=True, text=True, timeout=30)
        assert declined.returncode == 0, "the real command ran"
        assert "packages have changed, so the warm parent starts again; this command starts by its" in declined.stderr
        again = (session.logs / "upgraded.log").read_text
        session.wait_until(
            lambda: again().count("imported") == 2, "The probe", process=process, name="upgraded", limit=30
        )
        # The same process goes on, on the same socket, with the command that was running.
        before = progress.read_text()
        assert subprocess.run([*command, "exit", "7"], timeout=30, check=False).returncode == 7
        session.wait_until(
            lambda: progress.read_text() != before, "The count", process=process, name="upgraded", limit=30
        )
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == -signal.SIGTERM


def test_a_declined_command_outlives_what_the_connection_has_signalled() -> None:
    script = """
        import os, signal, socket, time
        from autograder.airflow_local import warm_client

        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
        os.kill(os.getpid(), signal.SIGIO)
        warm_client._let_go(socket.socket(socket.AF_UNIX), before)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        assert signal.getsignal(signal.SIGIO) == signal.SIG_DFL
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, check=False).returncode == 0


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def differs(file: Path, text: str) -> bool:
    return file.read_text() != text


class Terminal:
    """A pseudo-terminal with an interactive-like session: what runs in it has it as its controlling terminal."""

    def __init__(self, argv: list[str], columns: int = 77) -> None:
        self.pid, self.place = pty.fork()
        if self.pid == 0:
            os.execvp(argv[0], argv)
        termios.tcsetwinsize(self.place, (33, columns))
        self.said = ""

    def until(self, text: str) -> None:
        """Read until `text` has been said."""
        while text not in self.said:
            assert select.select([self.place], [], [], 30)[0], f"{text!r} was not said: {self.said!r}"
            self.said += os.read(self.place, 4096).decode()

    def key(self, keys: bytes) -> None:
        """Type."""
        os.write(self.place, keys)

    def end(self) -> int:
        """Read all, and return the exit code."""
        with contextlib.suppress(OSError):  # how Linux tells the end
            while part := os.read(self.place, 4096):
                self.said += part.decode()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def in_terminals(*commands: list[str]) -> list[Terminal]:
    return [Terminal(["bash", "-c", 'read _; "$@"; echo "code $?"', "bash", *command]) for command in commands]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_terminal_is_the_commands(warm: list[str], unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    said = []
    for terminal in in_terminals([*REAL, "terminal"], [*warm, "terminal"]):
        terminal.key(b"\n")
        terminal.until("name? ")
        terminal.key(b"Ada\n")
        terminal.until("code 0")
        terminal.end()
        said.append(terminal.said)
    assert f"[True, True, True] os.terminal_size(columns=77, lines=33) {not unbuffered}" in said[0]
    assert said[1] == said[0]


@pytest.mark.parametrize("what", ["wait", "children"])
def test_ctrl_c_in_a_terminal(warm: list[str], what: str) -> None:
    codes = []
    for terminal in in_terminals([*REAL, what], [*warm, what]):
        terminal.key(b"\n")
        terminal.until("ready\r\n")
        terminal.key(b"\x03")
        codes.append((terminal.end(), terminal.said.splitlines()[-1]))
    assert codes[1] == codes[0]


def test_ctrl_z_and_fg_in_a_shell(warm: list[str], tmp_path: Path) -> None:
    progress = tmp_path / "progress"
    for command in (REAL, warm):
        terminal = Terminal(["bash", "--norc", "--noprofile", "-i"])
        terminal.key(f"{shlex.join([*command, 'count', str(progress)])}\n".encode())
        terminal.until("ready")
        terminal.key(b"\x1a")
        terminal.until("Stopped")
        stopped = progress.read_text()
        terminal.key(b"echo $((6 * 7))\n")
        terminal.until("42")
        assert progress.read_text() == stopped
        terminal.key(b"fg\n")
        eventually(partial(differs, progress, stopped))
        terminal.key(b"\x03")
        terminal.until("KeyboardInterrupt")
        terminal.key(b"exit\n")
        terminal.end()
