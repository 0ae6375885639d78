"""Does everything that a session started end with it, however the session ends?"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder.airflow_local.session import KEPT_LOGS, Session, clean_stale
from autograder.errors import CourseError
from autograder.paths import ROOT

pytestmark = pytest.mark.integration

IDLE = ["sh", "-c", "echo $$ >pid.new; mv pid.new pid; exec sleep 600"]
"""Tells its process id in a file, and stays."""

# A program with the course's command line, that holds a session. `outer` starts the program again inside its own.
HOLDER = f"""
import signal, sys
from pathlib import Path
from autograder import cli
from autograder.airflow_local.session import Session

@cli.app.command()
def hold(state: Path) -> None:
    with Session.open(state) as session:
        process = session.start("idle", {IDLE})
        told = (session.folder / "pid").exists
        session.wait_until(told, "The idle program", process=process, name="idle", limit=20)
        print(session.folder, flush=True)
        signal.pause()

@cli.app.command()
def outer(state: Path) -> None:
    with Session.open(state) as session:
        session.start("inner", [sys.executable, "-c", {"HOLDER"!r}, "hold", str(state)])
        print(session.folder, flush=True)
        signal.pause()

cli.main()
"""
HOLDER = HOLDER.replace(repr("HOLDER"), "__import__('os').environ['HOLDER']")

TELL = """
import os, signal, subprocess, sys
def tell(pid):
    with open("pid.new", "w") as file:
        file.write(str(pid))
    os.rename("pid.new", "pid")
"""
HARD_TO_END = {
    "a daemon": """
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
tell(os.getpid())
os.chdir("/")
os.closerange(0, 256)
signal.pause()
""",
    "deaf": """
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
tell(os.getpid())
while True:
    signal.pause()
""",
    "renamed": """
import setproctitle
setproctitle.setproctitle("worker " * 500)
tell(os.getpid())
signal.pause()
""",
    "stopped": """
tell(os.getpid())
os.kill(os.getpid(), signal.SIGSTOP)
""",
    "a child with an environment of its own": """
tell(subprocess.Popen(["sleep", "600"], env={}, start_new_session=True).pid)
signal.pause()
""",
}


def eventually(condition: Callable[[], object], limit: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit} s"
        time.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    """Return whether a process has ended (its parent may not have noticed)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def of(folder: Path) -> psutil.Process:
    """Return the process that told its id in a session's folder."""
    return psutil.Process(int((folder / "pid").read_text()))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder of its own; what a failed test leaves running there is killed."""
    yield tmp_path / "state"
    told = [int(file.read_text()) for file in tmp_path.glob("state/run/*/pid")]
    for process in psutil.process_iter():
        try:
            mentions = f"{process.environ()} {process.cmdline()}"
            if process.pid in told or (str(tmp_path) in mentions and process.pid != os.getpid()):
                process.kill()
        except psutil.Error:
            continue


@pytest.fixture
def hold(state: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Path]]]:
    """Start programs that hold a session; give each with its session's folder."""
    started = []

    def start(command: str = "hold", state: Path = state) -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, command, str(state)],
            env={**os.environ, "HOLDER": HOLDER}, cwd=ROOT, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout
        said = process.stdout.readline().strip()
        assert said, process.communicate()[1]
        return process, Path(said)

    yield start
    for process in started:
        process.kill()
        process.communicate()


Hold = Callable[..., tuple[subprocess.Popen[str], Path]]


def keeper_of(folder: Path) -> psutil.Process:
    """Return the process that waits for the end of the one that holds the session of a folder."""
    everyone = psutil.process_iter(["name", "cmdline"])
    return next(one for one in everyone if one.info["name"] == "sh" and str(folder) in (one.info["cmdline"] or []))


@pytest.mark.parametrize("kind", HARD_TO_END)
def test_whatever_was_started_ends_with_the_session(state: Path, kind: str) -> None:
    with Session.open(state) as session:
        process = session.start("hard", [sys.executable, "-c", TELL + HARD_TO_END[kind]])
        eventually((session.folder / "pid").exists)
        (session.folder / "more").write_text("")
        running = of(session.folder)
    assert gone(running)
    assert process.returncode is not None
    assert list((state / "run").iterdir()) == []
    assert [log.name for log in session.logs.iterdir()] == ["hard.log"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
def test_semaphores_end_with_the_session(state: Path) -> None:
    program = """
import multiprocessing, signal
lock = multiprocessing.get_context("spawn").Lock()  # as dbt makes one
with open("name.new", "w") as file:
    file.write(lock._semlock.name)
os.rename("name.new", "name")
signal.pause()
"""
    with Session.open(state) as session:
        session.start("locks", [sys.executable, "-c", TELL + program])
        eventually((session.folder / "name").exists)
        semaphore = Path(f"/dev/shm/sem.{(session.folder / 'name').read_text().lstrip('/')}")
        assert semaphore.exists()
    assert not semaphore.exists()


def test_an_error_inside_ends_it_too(state: Path) -> None:
    sessions = []

    def fail() -> None:
        with Session.open(state) as session:
            sessions.append((session, session.start("idle", IDLE)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    ((session, process),) = sessions
    assert process.returncode is not None
    assert not session.folder.exists()


def test_the_keeper_ends_too(state: Path) -> None:
    with Session.open(state) as session:
        keeper = keeper_of(session.folder)
    assert gone(keeper)


def test_the_logs_of_the_last_sessions_are_kept(state: Path) -> None:
    (state / "logs").mkdir(parents=True)
    old = [state / "logs" / f"20000101-0000{number:02d}-abcdef" for number in range(KEPT_LOGS + 2)]
    for folder in old:
        folder.mkdir()
    with Session.open(state) as session:
        pass
    assert sorted((state / "logs").iterdir()) == [*old[-KEPT_LOGS + 1 :], session.logs]


def test_the_logs_of_a_session_that_lasts_are_kept(state: Path) -> None:
    with Session.open(state) as session:
        for number in range(KEPT_LOGS):
            (state / "logs" / f"9999-{number}").mkdir()
        with Session.open(state):
            pass
        session.start("still", ["true"]).wait()
        assert (session.logs / "still.log").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_ends_everything(hold: Hold, state: Path, number: signal.Signals, code: int) -> None:
    holder, folder = hold()
    running, keeper = of(folder), keeper_of(folder)
    holder.send_signal(number)
    _, said = holder.communicate(timeout=30)
    assert (holder.returncode, said) == (code, "Stopped. Everything that was started has been ended.\n")
    assert gone(running)
    assert gone(keeper)
    assert not folder.exists()
    assert (state / "logs" / folder.name / "idle.log").exists()


def test_a_second_ctrl_c_while_it_ends_leaves_the_rest_to_the_keeper(hold: Hold) -> None:
    holder, folder = hold()
    running = of(folder)
    # Stopped, it takes both signals at once when it goes on.
    holder.send_signal(signal.SIGSTOP)
    holder.send_signal(signal.SIGTERM)
    holder.send_signal(signal.SIGINT)
    holder.send_signal(signal.SIGCONT)
    _, said = holder.communicate(timeout=30)
    assert holder.returncode in (130, 143)
    assert "Traceback" not in said
    eventually(lambda: gone(running) and not folder.exists())


def test_nohup_is_respected(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup starts a program
    try:
        holder, folder = hold()
    finally:
        signal.signal(signal.SIGHUP, before)
    holder.send_signal(signal.SIGHUP)
    holder.send_signal(signal.SIGTERM)
    holder.communicate(timeout=30)
    assert holder.returncode == 143
    assert not folder.exists()


def test_the_keeper_ends_everything_when_the_holder_is_killed(hold: Hold) -> None:
    holder, folder = hold()
    running, keeper = of(folder), keeper_of(folder)
    holder.kill()
    eventually(lambda: gone(running) and gone(keeper) and not folder.exists())


def test_the_next_session_ends_everything_when_the_keeper_is_killed_too(hold: Hold, state: Path) -> None:
    holder, folder = hold()
    running, keeper = of(folder), keeper_of(folder)
    keeper.kill()
    holder.kill()
    holder.wait()
    assert running.is_running()
    with Session.open(state) as session:
        assert gone(running)
        assert list((state / "run").iterdir()) == [session.folder]


def test_sessions_side_by_side_leave_each_other_alone(hold: Hold, state: Path, tmp_path: Path) -> None:
    same_clone, other_clone = hold(), hold(state=tmp_path / "another")
    running = {of(folder) for _, folder in (same_clone, other_clone)}
    with Session.open(state) as session:
        session.start("idle", IDLE)
        eventually((session.folder / "pid").exists)
    other_clone[0].terminate()
    other_clone[0].communicate(timeout=30)
    assert {process for process in running if not gone(process)} == {of(same_clone[1])}


def test_a_session_that_is_being_opened_is_no_stale_one(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock

    def while_another_opens(*arguments: Any) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        clean_stale(state)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", while_another_opens)
    with Session.open(state) as session:
        assert session.start("idle", ["true"]).wait() == 0
        clean_stale(state)
        assert session.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_a_session_inside_another_ends_with_it(hold: Hold, state: Path, number: signal.Signals) -> None:
    holder, folder = hold("outer")
    eventually(lambda: list((state / "run").glob("*/pid")))
    (told,) = (state / "run").glob("*/pid")
    inner = told.parent
    assert inner != folder
    started = [of(inner), keeper_of(inner), keeper_of(folder)]
    holder.send_signal(number)
    eventually(lambda: all(map(gone, started)) and not list((state / "run").iterdir()))


def test_the_lock_goes_last_so_that_a_removal_cut_short_is_found(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session.open(state) as session:
        for number in range(20):
            (session.folder / f"part-{number}").mkdir()
        lock, locked, rmdir = session.folder / "lock", [], os.rmdir

        def noted(*args: Any, **kwargs: Any) -> None:
            locked.append(lock.exists())
            rmdir(*args, **kwargs)

        monkeypatch.setattr(os, "rmdir", noted)
    assert locked == [*(len(locked) - 1) * [True], False], "the folder itself goes after the lock, all in it before"


def test_a_clone_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")  # permissions would not stop root
    with (
        pytest.raises(CourseError, match="cannot write here: Not a directory") as caught,
        Session.open(tmp_path / "file" / ".course"),
    ):
        pass
    assert caught.value.where == str(tmp_path / "file" / ".course")
    assert "where you may write" in caught.value.todo


def test_what_another_user_left_is_no_reason_to_fail(state: Path) -> None:
    (state / "run" / "anothers" / "lock").mkdir(parents=True)  # cannot be opened, as a file of root's cannot
    with Session.open(state) as session:
        assert session.folder.exists()


def test_a_program_that_ends_early_is_told_with_its_log(state: Path) -> None:
    program = "import sys; print(*range(100), sep='\\n'); sys.exit('no such thing')"
    with Session.open(state) as session:
        process = session.start("early", [sys.executable, "-c", program])
        with pytest.raises(CourseError) as caught:
            session.wait_until(lambda: False, "The thing", process=process, name="early", limit=30)
    first, *rest = caught.value.what.splitlines()
    assert first == "The thing ended with code 1. The end of its log:"
    assert (rest[0], rest[-1]) == ("    89", "    no such thing")
    assert caught.value.where == str(session.logs / "early.log")
    assert "./course doctor" in caught.value.todo


def test_a_program_that_takes_too_long_is_told(state: Path) -> None:
    with Session.open(state) as session:
        process = session.start("idle", IDLE)
        with pytest.raises(CourseError, match="The thing was not ready within 0 s"):
            session.wait_until(lambda: False, "The thing", process=process, name="idle", limit=0.1)
