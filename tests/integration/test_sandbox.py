"""A sandbox by itself: what is ended, what is read of it, and that nothing runs outside when it cannot be entered."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from autograder.airflow_local.session import Session
from autograder.errors import CourseError
from autograder.sandbox import Ended, Limits, Sandbox, available
from autograder.sandbox.gate import Gate
from autograder.sandbox.namespaces import Namespaces
from autograder.sandbox.processes import members

pytestmark = pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}")

SMALL = Limits(memory_mb=400, processes=60, disk_mb=20, file_mb=10, cpu_s=2, seconds=60)


@pytest.fixture(scope="module")
def session(without_secrets: None) -> Iterator[Session]:
    with Session.open() as opened:
        (opened.folder / "bin").mkdir()
        yield opened


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "dags").mkdir(parents=True)
    (folder / "dags" / "one.py").write_text("print('handed in')\n")
    return folder


def opened(sandbox: Sandbox, session: Session, project: Path) -> Namespaces:
    return sandbox.open(
        session, f"trial_{time.monotonic_ns()}", project,
        environment={"PATH": "/usr/bin:/bin", "HOME": str(session.folder / "home")},
    )  # fmt: skip


def run(inside: Namespaces, project: Path, program: str, limit: float = 20) -> tuple[int, str]:
    process = inside.popen(
        [sys.executable, "-c", program],
        cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = process.communicate(timeout=limit)[0]
    return process.returncode, said


def until_ended(sandbox: Sandbox, limit: float = 15) -> Ended:
    deadline = time.monotonic() + limit
    while sandbox.ended is None:
        assert time.monotonic() < deadline, "it was not ended"
        time.sleep(0.02)
    return sandbox.ended


def test_a_project_is_copied_and_the_original_stays_as_it_is(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        inside = opened(sandbox, session, project)
        assert run(inside, project, "open('dags/one.py', 'a').write('x'); exec(open('dags/one.py').read()[:19])") == (
            0,
            "handed in\n",
        )
        assert inside.read(project / "dags" / "one.py", 100) == b"print('handed in')\nx"
    assert (project / "dags" / "one.py").read_text() == "print('handed in')\n"


def test_exit_codes_and_signals_come_through(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        inside = opened(sandbox, session, project)
        assert run(inside, project, "raise SystemExit(7)")[0] == 7
        assert run(inside, project, "import os; os.kill(os.getpid(), 15)")[0] == -signal.SIGTERM
        process = inside.popen(["sleep", "60"], cwd=project)
        process.terminate()
        assert process.wait(5) == -signal.SIGTERM


def test_what_ignores_signals_ends_with_the_sandbox(session: Session, project: Path) -> None:
    stubborn = "import os, signal, time\n" + "\n".join(
        f"signal.signal({number}, signal.SIG_IGN)" for number in (1, 2, 3, 15)
    )
    with Sandbox(SMALL) as sandbox:
        inside = opened(sandbox, session, project)
        # It leaves its parent, its session, and what ends it with its parent.
        leave = f"{stubborn}\nos.fork() and os._exit(0)\nos.setsid()\nos.fork() and os._exit(0)\ntime.sleep(600)"
        assert run_detached(inside, project, leave) == 0
        left = members([inside.pid])
        assert len(left) > 2  # beside those that keep it
    deadline = time.monotonic() + 5
    while [pid for pid in left if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, "a process outlived its sandbox"
        time.sleep(0.02)


def run_detached(inside: Namespaces, project: Path, program: str) -> int:
    return inside.popen([sys.executable, "-c", program], cwd=project, stdin=-3, stdout=-3, stderr=-3).wait(10)


MEMORY = "import mmap, time\nheld = [b'x' * 2**20 for _ in range({mb})]\ntime.sleep(3)\nprint('held')"


@pytest.mark.parametrize("processes", [1, 3])
def test_a_memory_bomb_is_ended(session: Session, project: Path, processes: int) -> None:
    bomb = "import os\n" + "os.fork()\n" * (processes // 2) + MEMORY.format(mb=700 // processes)
    with Sandbox(SMALL) as sandbox:
        run(opened(sandbox, session, project), project, bomb)
        ended = until_ended(sandbox)
        assert ended.outcome == "out_of_memory"
        assert "400 MiB are allowed" in ended.reason
        with pytest.raises(Ended):
            sandbox.check()
    with Sandbox(Limits(memory_mb=4000)) as sandbox:  # the control
        code, said = run(opened(sandbox, session, project), project, bomb)
        assert (code, sandbox.ended) == (0, None)
        assert "held" in said


def test_one_process_cannot_address_more_than_its_share(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        code, said = run(opened(sandbox, session, project), project, "b'x' * 2**30")
        assert code == 1
        assert "MemoryError" in said


FORKS = """
import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
        made += 1
except OSError as error:
    print(error)
print(made >= 100)
"""


def test_a_fork_bomb_stays_small(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        said = run(opened(sandbox, session, project), project, FORKS)[1]
        assert "Resource temporarily unavailable" in said
    with Sandbox(Limits()) as sandbox:  # the control
        assert run(opened(sandbox, session, project), project, FORKS)[1] == "True\n"


def test_processes_of_all_kinds_are_counted(session: Session, project: Path) -> None:
    limits = Limits(processes=60)
    with Sandbox(limits) as sandbox:
        inside = opened(sandbox, session, project)
        many = [inside.popen(["sleep", "30"], cwd=project) for _ in range(2)]
        sandbox.limits = Limits(processes=3)  # as if these were many
        ended = until_ended(sandbox)
        assert ended.outcome == "student_error"
        assert "processes" in ended.reason
        for process in many:
            process.wait(5)


@pytest.mark.parametrize("place", ["{home}", "/tmp", "/dev/shm", "."])
def test_a_disk_filler_finds_little_room(session: Session, project: Path, place: str) -> None:
    place = place.format(home=session.folder / "home")
    filler = f"""
import errno, os
try:
    for number in range(10):
        with open(os.path.join({place!r}, str(number)), 'wb') as file:
            file.write(b'x' * 5 * 2**20)
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    with Sandbox(SMALL) as sandbox:
        assert run(opened(sandbox, session, project), project, filler)[1] == "ENOSPC\n"
    with Sandbox(Limits()) as sandbox:  # the control
        assert run(opened(sandbox, session, project), project, filler)[1] == ""


def test_many_small_files_are_noticed(session: Session, project: Path) -> None:
    filler = "import os, time\nfor number in range(3000): os.mknod(f'/tmp/{number}')\ntime.sleep(3)"
    with Sandbox(Limits(files_made=2000)) as sandbox:
        run(opened(sandbox, session, project), project, filler)
        assert "files" in until_ended(sandbox).reason
    with Sandbox(Limits()) as sandbox:  # the control
        assert run(opened(sandbox, session, project), project, filler) == (0, "")
        assert sandbox.ended is None


FLOOD = "yes 'ten gigabytes of output' | head -c {size}"


def test_a_file_can_only_be_so_large(session: Session, project: Path, tmp_path: Path) -> None:
    for limits, size, code in (
        (SMALL, 10_000_000_000, 1),
        (Limits(), 3 * SMALL.file_mb * 2**20, 0),  # the control
    ):
        with Sandbox(limits) as sandbox, (tmp_path / "said").open("wb") as said:
            inside = opened(sandbox, session, project)
            argv = ["sh", "-c", FLOOD.format(size=size)]
            assert (inside.popen(argv, cwd=project, stdout=said, stderr=said).wait(30) != 0) == code
        # Its own last words may be in it, too.
        assert min(size, SMALL.file_mb * 2**20) <= (tmp_path / "said").stat().st_size <= limits.file_mb * 2**20


def test_what_is_in_files_is_memory(session: Session, project: Path) -> None:
    places = [session.folder / "home", "/tmp", "/dev/shm"]
    filler = "import sys, time\nfor place in sys.argv[1:]:\n"
    filler += "    for number in range(3): open(f'{place}/{number}', 'wb').write(b'x' * 2**20 * 50)\ntime.sleep(3)"
    for limits, held in ((Limits(memory_mb=300), True), (Limits(), False)):  # the second is the control
        with Sandbox(limits) as sandbox:
            inside = opened(sandbox, session, project)
            argv = [sys.executable, "-c", filler, *map(str, places)]
            code = inside.popen(argv, cwd=project).wait(30)
            assert (code != 0, sandbox.ended is not None) == (held, held)
            if held:
                assert until_ended(sandbox).outcome == "out_of_memory"


def test_where_nobody_looks_on_any_more_it_ends(
    session: Session, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(Limits()) as sandbox:
        inside = opened(sandbox, session, project)
        process = inside.popen(["sleep", "60"], cwd=project)
        monkeypatch.setattr(sandbox, "limits", None)  # as if something that nobody thought of came up
        assert process.wait(10) == -signal.SIGKILL
        with pytest.raises(CourseError, match="watch over the sandbox failed"):
            sandbox.check()


def test_an_endless_loop_uses_up_its_seconds(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        began = time.monotonic()
        code, _ = run(opened(sandbox, session, project), project, "while True: pass")
        assert code in (-signal.SIGXCPU, -signal.SIGKILL)
        assert time.monotonic() - began < 15
    with Sandbox(Limits()) as sandbox:  # the control
        longer = "import time\nwhile time.process_time() < 2.5: pass"
        assert run(opened(sandbox, session, project), project, longer)[0] == 0


SPIN = "import os, time\n{forks}\nuntil = time.monotonic() + 4\nwhile time.monotonic() < until: pass"


@pytest.mark.parametrize(("forks", "demoted"), [(4, True), (0, False)])
def test_who_keeps_many_processes_busy_gets_what_others_leave(
    session: Session, project: Path, forks: int, demoted: bool
) -> None:
    with Sandbox(Limits()) as sandbox:
        inside = opened(sandbox, session, project)
        program = SPIN.format(forks="\n".join(["os.fork()"] * forks))
        process = inside.popen([sys.executable, "-c", program], cwd=project)
        policies: set[int] = set()
        while process.poll() is None:
            for pid in members([inside.pid]):
                with contextlib.suppress(OSError):
                    policies.add(os.sched_getscheduler(pid))
            time.sleep(0.1)
        assert (os.SCHED_IDLE in policies) is demoted
        # Its processes cannot undo it.
        undo = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0));"
        undo += "os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))"
        assert "PermissionError" in run(inside, project, undo)[1]


def test_sleeping_for_ever_comes_to_an_end(session: Session, project: Path) -> None:
    with Sandbox(Limits(seconds=1)) as sandbox:
        run(opened(sandbox, session, project), project, "import time; time.sleep(3600)")
        assert until_ended(sandbox).outcome == "timeout"


def test_logs_can_only_be_so_large(session: Session, tmp_path: Path) -> None:
    with Sandbox(Limits(logs_mb=1)) as sandbox:
        sandbox.watch_logs(tmp_path)
        (tmp_path / "task.log").write_bytes(b"x" * 3 * 2**20)
        assert "logs" in until_ended(sandbox).reason


WRITTEN = {
    "a link": "os.symlink('/etc/passwd', {path!r})",
    "a link among the folders": "os.rename('dags', 'real'); os.symlink('real', 'dags'); open({path!r}, 'w').write('x')",
    "a pipe": "os.mkfifo({path!r})",
    "a folder": "os.mkdir({path!r})",
    "a socket": "import socket; socket.socket(socket.AF_UNIX).bind({path!r})",
    "nothing": "pass",
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_only_a_plain_file_is_read(session: Session, project: Path, kind: str) -> None:
    path = project / "dags" / "report.xml"
    with Sandbox(SMALL) as sandbox:
        inside = opened(sandbox, session, project)
        code, said = run(inside, project, "import os\n" + WRITTEN[kind].format(path="dags/report.xml"))
        assert code == 0, said
        assert inside.read(path, 100) is None


def test_no_more_is_read_than_asked_for(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        inside = opened(sandbox, session, project)
        run(inside, project, "open('sparse', 'wb').truncate(9 * 2**20)")
        assert inside.read(project / "sparse", 1000) == b"\0" * 1000


def test_a_project_that_does_not_fit_is_refused(session: Session, project: Path) -> None:
    (project / "large").write_bytes(b"x" * 30 * 2**20)
    with Sandbox(SMALL) as sandbox, pytest.raises(Exception, match="put into the sandbox"):
        opened(sandbox, session, project)


GUARDED = """
import os, sys
from autograder.airflow_local import leaf
leaf.guard(sys.argv[1], workers=sys.argv[2] == "workers")
if sys.argv[2] == "as a supervisor":  # root would not notice
    import ctypes
    assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE
if sys.argv[2] in ("workers", "no workers"):
    import multiprocessing
    fork = multiprocessing.get_context("fork")
    one = fork.Process(target=lambda: os.write(1, b"parent %d\\n" % os.getppid()))
    one.start(); one.join()
    sys.exit(one.exitcode)
if sys.argv[2] == "own hook":
    os.register_at_fork(after_in_child=lambda: os.write(1, b"hook in %d\\n" % os.getppid()))
child = os.fork()
if child == 0:
    os._exit(0)  # reached inside alone
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print("child ended with", status)
"""


def guarded(description: Path, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, str(description), how], capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout + done.stderr


def test_what_forks_enters(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        description = opened(sandbox, session, project).description
        assert guarded(description, "plain") == "child ended with 0\n"
        assert guarded(description, "as a supervisor") == "child ended with 0\n"
        # What a hook of somebody else's sees is inside already: no parent is there.
        assert guarded(description, "own hook") == "hook in 0\nchild ended with 0\n"
        assert guarded(description, "workers").startswith("parent ")
        assert guarded(description, "workers") != "parent 0\n"  # it is outside
        assert guarded(description, "no workers") == ""  # inside, where its output leads nowhere


def test_what_cannot_enter_does_not_run(session: Session, project: Path) -> None:
    with Sandbox(SMALL) as sandbox:
        description = opened(sandbox, session, project).description
    said = guarded(description, "plain")
    assert "The sandbox cannot be entered" in said
    assert "child ended with 97" in said


def test_a_sandbox_is_not_opened_with_secrets_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the teacher")
    with pytest.raises(Exception, match="AWS_SECRET_ACCESS_KEY"), Sandbox():
        pass


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Open a gate; return the command that goes through it, and the list of what was carried out."""
    real = tmp_path / "real"
    real.write_text('#!/bin/sh\necho real "$@"\n')
    real.chmod(0o755)
    (tmp_path / "gate").mkdir()
    asked: list[list[str]] = []

    def carry_out(argv: object) -> subprocess.CompletedProcess[str]:
        asked.append(list(argv))  # type: ignore[call-overload]
        return subprocess.CompletedProcess([], 3, "done outside\n")

    def tampered(command: str) -> None:
        asked.append(["tampering", command])

    with Gate(tmp_path / "gate", real, carry_out, tampered):
        yield [str(tmp_path / "gate" / "airflow")], asked


@pytest.mark.parametrize(
    "argv", [["dags", "trigger", "x"], ["backfill", "create", "--dag-id", "x; rm -rf"], ["dags", "pause", "x"]]
)
def test_a_command_that_asks_for_runs_is_carried_out_outside(
    gate: tuple[list[str], list[list[str]]], argv: list[str]
) -> None:
    done = subprocess.run([*gate[0], *argv], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, gate[1]) == (3, "done outside\n", [argv])


@pytest.mark.parametrize(
    "argv",
    [
        ["db", "reset", "-y"], ["config", "get-value", "database", "sql_alchemy_conn"], ["tasks", "test", "a", "b"],
        ["dags", "test", "x"], ["dags"], [], ["--verbose", "dags", "trigger"], ["variables", "list"],
    ],
)  # fmt: skip
def test_any_other_command_is_the_sandboxs_own(gate: tuple[list[str], list[list[str]]], argv: list[str]) -> None:
    done = subprocess.run([*gate[0], *argv], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, gate[1]) == (f"real {' '.join(argv)}".rstrip() + "\n", [])


@pytest.mark.parametrize(
    "said", [b"", b"[", b'{"dags": "trigger"}', b'["dags", "trigger", 3]', b"[" * 90_000, b"[" * 200_000],
    ids=["nothing", "half", "no list", "no text", "too deep", "too long"],
)  # fmt: skip
def test_a_gate_takes_nothing_else(gate: tuple[list[str], list[list[str]]], said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(Path(gate[0][0]).parent / "gate"))
        try:
            caller.sendall(said)
            caller.shutdown(socket.SHUT_WR)
            answer = caller.recv(100)
        except OSError:
            answer = b""
    assert (answer, gate[1]) == (b"", [])
    # And it goes on.
    assert (
        subprocess.run([*gate[0], "dags", "pause", "x"], capture_output=True, timeout=20, check=False).returncode == 3
    )


ASKS = """
import json, socket
gate = socket.socket(socket.AF_UNIX)
gate.connect({path!r})
gate.sendall(json.dumps({said!r}).encode())
gate.shutdown(socket.SHUT_WR)
print(gate.recv(100))
"""


@pytest.mark.parametrize(
    ("said", "outcome"), [(["db", "reset", "-y"], "tampered"), (["dags", "pause", "x"], None), (["dags", 3], None)]
)
def test_who_asks_the_gate_by_itself_for_another_command_has_tampered(
    session: Session, project: Path, said: list[object], outcome: str | None
) -> None:
    asked: list[list[str]] = []

    def carry_out(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        asked.append(list(argv))
        return subprocess.CompletedProcess([], 0, "")

    with Sandbox(SMALL) as sandbox:
        inside = opened(sandbox, session, project)
        with Gate(inside.gate, Path("/bin/true"), carry_out, inside.tampered):
            run(inside, project, ASKS.format(path=str(inside.gate / "gate"), said=said))
        assert (sandbox.ended and sandbox.ended.outcome) == outcome
        assert asked == ([said] if outcome is None and said[1] == "pause" else [])
        if outcome:
            with pytest.raises(Ended, match="asked the grader itself for `airflow db reset -y`"):
                sandbox.check()
