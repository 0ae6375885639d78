"""Does `./course` decide rightly, and say what to do? Python and uv are stand-ins; nothing is installed."""

import contextlib
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.paths import ROOT

# What the launcher and its stand-ins call; everything else, and every real Python, stays off their PATH.
TOOLS = "awk cat cksum cp date df dirname env grep head mkdir readlink rm sed sh tail uname"

LOCK = """\
httpx==1.0.0 \\
    --hash=sha256:aaaa
uv==2.0.0 \\
    --hash=sha256:bbbb \\
    --hash=sha256:cccc
uvicorn==3.0.0 \\
    --hash=sha256:dddd
"""

# Answers as a Python does: to the probe, to `-m venv`, `-m pip` and `-m autograder`; real code goes to the real one.
FAKE_PYTHON = """\
#!/bin/sh
echo "python $*" >>"{calls}"
case "$*" in
*ensurepip*) echo "{version} {able} $0" ;;
*"-m venv"*)
    [ ! -e "{home}/venv-fails" ] || exit 1
    for venv; do :; done
    rm -rf "$venv"
    mkdir -p "$venv/bin"
    cp "$0" "$venv/bin/python"
    cp "{bin}/uv" "$venv/bin/uv" ;;
*"-m pip config"*) cat "{home}/pip-registry" 2>/dev/null ;;
*"-m pip install"*) cat "{clone}/.course/uv.txt" >"{home}/pip-installed" ;;
*purelib*) dirname "$0" ;;
*"-m autograder"*)
    echo "$0" "$@"
    echo "registry: ${{UV_DEFAULT_INDEX-none}}"
    exit 7 ;;
*) exec "{real}" -S "$@" ;;
esac
"""


class Machine:
    """A clone in a folder of its own, on a machine that has only what a test puts there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = home / "bin"
        self.clone = home / "clone"
        self.calls = home / "calls"
        self.log = self.clone / ".course" / "install.log"
        self.bin.mkdir()
        self.clone.mkdir()
        shutil.copy(ROOT / "course", self.clone)
        (self.clone / "requirements.lock").write_text(LOCK)
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.skip(f"this machine has no {tool}"))
        self.program("uv", f'echo "uv $*" >>"{self.calls}"; echo "$UV_DEFAULT_INDEX" >"{home}/uv-registry"')
        self.python("python3", "3.12.1")

    def program(self, name: str, body: str) -> None:
        """Put a program on PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)  # it may be a link to the real one
        path.write_text(body if body.startswith("#!") else f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def python(self, name: str, version: str, able: str = "venv") -> None:
        """Put a Python of this version on PATH."""
        self.program(
            name,
            FAKE_PYTHON.format(version=version, able=able, real=sys.executable, **vars(self)),
        )

    def start(
        self, *arguments: str, shell: str = "sh", stderr: int = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        """Start `course`; return the process, its output piped."""
        return subprocess.Popen(
            [shutil.which(shell) or shell, self.clone / "course", *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.home), **environment},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def course(self, *arguments: str, shell: str = "sh", **environment: str) -> tuple[int, str, str]:
        """Run `course` to its end and count its calls anew; return its exit status and what it printed."""
        self.calls.unlink(missing_ok=True)
        process = self.start(*arguments, shell=shell, stderr=subprocess.PIPE, **environment)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def called(self, words: str) -> int:
        """Count the calls of a stand-in that have these words."""
        return sum(words in line for line in self.calls.read_text().splitlines()) if self.calls.exists() else 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def assert_refused(result: tuple[int, str, str], what: str, where: str, todo: str) -> None:
    status, out, err = result
    lines = err.splitlines()[-3:]
    assert (status, out) == (2, "")
    assert what in lines[0]
    assert lines[1].startswith("  where: ")
    assert where in lines[1]
    assert lines[2].startswith("  to do: ")
    assert todo in lines[2]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "sh"])
def test_first_use_makes_the_environment_then_hands_over(machine: Machine, shell: str) -> None:
    if not (path := shutil.which(shell)):
        pytest.skip(f"this machine has no {shell}")
    (machine.bin / "sh").unlink()
    (machine.bin / "sh").symlink_to(path)  # bash and busybox act as sh when called by that name
    status, out, err = machine.course("run", "two words", shell=str(machine.bin / "sh"))
    assert status == 7
    assert out.splitlines()[0] == f"{machine.clone}/.venv/bin/python -P -m autograder run two words"
    assert "making .venv with Python 3.12.1" in err
    assert "installed in" in err
    assert (machine.home / "pip-installed").read_text() == "".join(LOCK.splitlines(keepends=True)[2:5])
    assert (machine.clone / ".venv/bin/course.pth").read_text() == f"{machine.clone}\n"
    assert machine.called("--require-hashes --no-build --compile-bytecode") == 1


def test_second_use_installs_nothing(machine: Machine) -> None:
    machine.course()
    status, _, err = machine.course("doctor")
    assert (status, err) == (7, "")
    assert machine.calls.read_text().splitlines() == ["python -P -m autograder doctor"]


def test_a_link_to_the_launcher_finds_its_clone(machine: Machine) -> None:
    (machine.bin / "course").symlink_to(machine.clone / "course")
    done = subprocess.run(
        ["sh", machine.bin / "course"], env={"PATH": str(machine.bin)}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 7
    assert (machine.clone / ".venv").is_dir()


# --- which Python --------------------------------------------------------------------------------------


def test_an_unsupported_python_and_a_shim_with_nothing_behind_it_are_passed_over(machine: Machine) -> None:
    machine.python("python3", "3.9.18")
    machine.program("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    machine.python("python3.12", "3.12.7")
    assert "with Python 3.12.7" in machine.course()[2]


@pytest.mark.parametrize("version", ["3.10.13", "3.14.0", "pypy-3.11.11"])
def test_no_supported_python_says_which_were_found(machine: Machine, version: str) -> None:
    machine.python("python3", version)
    machine.program("python3.12", "exit 127")
    where = f"python3: {version}, python3.12: does-not-start"
    assert_refused(machine.course(), "No Python 3.11, 3.12 or 3.13", where, "COURSE_PYTHON=")


def test_course_python_is_the_only_one_tried(machine: Machine) -> None:
    machine.python("mine", "3.8.1")
    refused = machine.course(COURSE_PYTHON=str(machine.bin / "mine"))
    assert_refused(refused, "No Python 3.11, 3.12 or 3.13", "mine: 3.8.1", "install Python 3.12")
    machine.python("mine", "3.13.0")
    assert "with Python 3.13.0" in machine.course(COURSE_PYTHON=str(machine.bin / "mine"))[2]


def test_a_python_without_venv_names_the_package_that_brings_it(machine: Machine) -> None:
    machine.python("python3", "3.11.2", able="no-venv")
    assert_refused(machine.course(), "python3.11 is here", "python3: 3.11.2", "sudo apt install python3.11-venv")
    machine.python("python3.13", "3.13.0")
    assert "with Python 3.13.0" in machine.course()[2]


# --- when to install -----------------------------------------------------------------------------------


def test_a_changed_lock_updates_in_place(machine: Machine) -> None:
    machine.course()
    (machine.clone / "requirements.lock").write_text(LOCK + "# changed\n")
    status, _, err = machine.course()
    assert status == 7
    assert "requirements.lock has changed" in err
    assert (machine.called("-m venv"), machine.called("uv pip sync")) == (0, 1)
    assert machine.course()[2] == ""


@pytest.mark.parametrize("lock_changed", [False, True])
def test_an_interrupted_installation_is_made_anew(machine: Machine, lock_changed: bool) -> None:
    good = (machine.bin / "uv").read_text()
    if lock_changed:
        machine.course()
        (machine.clone / "requirements.lock").write_text(LOCK + "# changed\n")
    machine.program("uv", "kill -9 $$")
    if lock_changed:
        shutil.copy(machine.bin / "uv", machine.clone / ".venv/bin/uv")
    assert machine.course()[0] == 2
    machine.program("uv", good)
    assert machine.course()[0] == 7
    assert machine.called("-m venv") == 1


def test_a_moved_clone_and_a_removed_python_make_it_anew(machine: Machine) -> None:
    machine.course()
    (machine.clone / ".venv/bin/python").unlink()
    (machine.clone / ".venv/bin/python").symlink_to("/nowhere/python3.12")
    assert "making .venv" in machine.course()[2]
    machine.clone = machine.clone.rename(machine.home / "moved")
    machine.python("python3", "3.12.1")
    assert "making .venv" in machine.course()[2]
    assert (machine.clone / ".venv/bin/course.pth").read_text() == f"{machine.clone}\n"


def hold_uv(machine: Machine) -> Path:
    """Make uv wait until the returned pipe is written to."""
    gate = machine.home / "gate"
    os.mkfifo(gate)
    machine.program("uv", f'echo "uv $*" >>"{machine.calls}"; read -r go <"{gate}"')
    return gate


def test_two_at_once_install_once(machine: Machine) -> None:
    gate = hold_uv(machine)
    first = machine.start()
    gate_end = gate.open("w")  # opens when uv, in the first, has opened the other end
    second = machine.start()
    assert second.stderr is not None
    assert "another ./course is making .venv" in second.stderr.readline()
    print("go", file=gate_end)
    gate_end.close()
    for process in (first, second):
        process.communicate(timeout=30)
        assert process.returncode == 7
    assert (machine.called("uv pip sync"), machine.called("-m venv")) == (1, 1)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_installer_too(machine: Machine, number: signal.Signals, status: int) -> None:
    gate = hold_uv(machine)
    process = machine.start()
    with gate.open("w") as gate_end:
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == status
        assert "stopped; the next ./course makes .venv anew" in err
        reader = select.poll()
        reader.register(gate_end, 0)
        assert reader.poll(5000)  # an error on this end, because uv, at the other, is gone


# --- what goes wrong -----------------------------------------------------------------------------------

# What uv 0.13 and pip 23 said, shortened.
FULL = "error: Failed to install: a.whl\n  cause: failed to copy file: No space left on device (os error 28)"
NO_WHEEL = "  cause: Because pg==0.6.0 has no wheels with a matching platform tag (e.g., `musllinux_1_2_x86_64`)"
NO_BUILD = "  cause: Because cffi==26.2 has no usable wheels and you require cffi==26.2, we can conclude that"
NO_NETWORK = "  cause: error sending request for url (http://127.0.0.1:9/)\n  cause: Connection refused (os error 111)"
NOT_THERE = "  cause: Because zipp was not found in the package registry and you require zipp==4.1.2"
ALTERED = "error: Failed to download `zipp==4.1.2`\n  cause: Hash mismatch for `zipp==4.1.2`"


@pytest.mark.parametrize(
    ("says", "what", "todo"),
    [
        (FULL, "The disk is full", "1500 MB of room"),
        (NO_WHEEL, "pg==0.6.0 has no wheel for this platform", "not Alpine"),
        (NO_BUILD, "cffi==26.2 has no wheel for this platform", "macOS on Apple silicon"),
        (NO_NETWORK, "The package registry does not answer", "PIP_INDEX_URL"),
        (NOT_THERE, "The package registry does not answer, or lacks a package", "PIP_INDEX_URL"),
        (ALTERED, "Hash mismatch for `zipp==4.1.2`", "what the log names"),
    ],
)
def test_what_uv_says_becomes_what_to_do(machine: Machine, says: str, what: str, todo: str) -> None:
    machine.program("uv", f"cat >&2 <<'END'\n{says}\nEND\nexit 2")
    assert_refused(machine.course(), what, str(machine.log), todo)
    assert says in machine.log.read_text()
    assert not (machine.clone / ".venv/course.stamp").exists()


def test_on_a_terminal_uv_shows_its_progress_and_its_error_still_reaches_the_log(machine: Machine) -> None:
    machine.program("uv", f'echo "uv $*" >>"{machine.calls}"; [ ! -t 2 ] || echo progress; echo "{NOT_THERE}"; exit 2')
    ours, theirs = pty.openpty()
    process = machine.start(stderr=theirs)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:  # Linux ends it with EIO
        while part := terminal.read(1024):
            seen += part
    assert process.wait(timeout=30) == 2
    assert b"progress" in seen
    assert b"The package registry does not answer" in seen
    assert machine.log.read_text().count("not found") == 1
    assert "progress" not in machine.log.read_text()


def test_too_little_room_is_said_before_anything_is_fetched(machine: Machine) -> None:
    machine.program("df", "echo Filesystem; echo /dev/a 9000000 8100000 900000 90% /")
    assert_refused(machine.course(), "has 900 MB free, and the packages need 1500 MB", ".venv", "make room")
    assert machine.called("-m pip") == 0


def test_a_disk_too_full_for_venv_is_named_though_ensurepip_does_not_name_it(machine: Machine) -> None:
    (machine.home / "venv-fails").touch()
    machine.program("df", "echo Filesystem; echo /dev/a 9000000 8990000 10000 100% /")
    assert_refused(machine.course(), "The disk is full", str(machine.log), "1500 MB of room")


def test_a_native_windows_shell_is_sent_to_wsl(machine: Machine) -> None:
    machine.program("uname", "echo MINGW64_NT-10.0")
    assert_refused(machine.course(), "native Windows shell", "MINGW64_NT-10.0", "WSL2")


def test_a_clone_that_cannot_be_written_to(machine: Machine) -> None:
    (machine.clone / ".course").write_text("a file where the folder has to be, which stops root too")
    assert_refused(machine.course(), "cannot be written to", str(machine.clone), "folder of your own")


# --- what surrounds it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["environment", "pip.conf"])
def test_pips_registry_reaches_uv_and_nothing_else(machine: Machine, place: str) -> None:
    url = "http://someone:secret@127.0.0.1:9/simple"
    if place == "pip.conf":
        (machine.home / "pip-registry").write_text(url)
    _, out, err = machine.course(**({"PIP_INDEX_URL": url} if place == "environment" else {}))
    assert (machine.home / "uv-registry").read_text().strip() == url
    assert "registry: none" in out
    assert "secret" not in out + err


def test_uvs_own_registry_goes_before_pips(machine: Machine) -> None:
    machine.course(PIP_INDEX_URL="http://127.0.0.1:9/pip", UV_DEFAULT_INDEX="http://127.0.0.1:9/uv")
    assert (machine.home / "uv-registry").read_text().strip() == "http://127.0.0.1:9/uv"


def test_another_pythons_settings_do_not_reach_this_one(machine: Machine) -> None:
    machine.program("uv", f'env >"{machine.home}/seen"')
    machine.course(PYTHONPATH="/elsewhere", PYTHONHOME="/elsewhere", VIRTUAL_ENV="/elsewhere")
    seen = (machine.home / "seen").read_text()
    assert "PYTHONPATH" not in seen
    assert "PYTHONHOME" not in seen
