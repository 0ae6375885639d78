"""The namespaces of a sandbox: made by bubblewrap, kept by one idle process, entered by others.

Contract: `Namespaces.open` gives processes that enter (`leaf`) a machine of their own: a read-only system with the
course's Python and the commands, none of the course's answers or anyone's work, a few sized places to write to that are
memory, their own processes, and a network on which nothing is but the ports that are forwarded. All of it ends when
the holder does: with `close`, with the session, or with this process. Nothing in it is ever written to the disk.
"""

import contextlib
import functools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from autograder.airflow_local import leaf
from autograder.airflow_local.commands import FOLDER, PRELOADED_WITHIN, Commands
from autograder.airflow_local.session import Session
from autograder.airflow_local.warm_client import SANDBOX
from autograder.errors import CourseError
from autograder.paths import ROOT
from autograder.sandbox import owner
from autograder.sandbox.limits import Limits

INSIDE = 1000
"""The user id in the sandbox."""

OUTSIDE = 65533
"""The user id, outside, of a sandbox that root makes: nobody's, and not Postgres's."""

ETC = ("alternatives", "ca-certificates", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
       "mime.types", "nsswitch.conf", "os-release", "protocols", "python3", "services", "ssl", "terminfo")  # fmt: skip
"""What of /etc a program needs, and tells nothing."""

COURSE = ("autograder/__init__.py", "autograder/paths.py", "autograder/errors.py", "autograder/airflow_local")
"""What of the course a command or a task imports or runs."""

TMP, SHARED_MEMORY = Path("/tmp"), Path("/dev/shm")  # noqa: S108 - inside, each of one sandbox
GATE = "gate"
OWN = ("home", "tmp")
"""Folders in the session's, inside."""

READY_WITHIN = 20.0


def available() -> str | None:
    """Return why no sandbox can be made here, or None where one can."""
    if sys.platform != "linux":
        return "bubblewrap is Linux's; on this system there is no sandbox"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
    tried = subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        return f"bubblewrap cannot make a sandbox here: {tried.stderr.strip()}"
    return None


@dataclass
class Namespaces:
    """The namespaces of one project of a submission. Use `open`.

    Parameters
    ----------
    session
        Owns its processes and files.
    name
        Tells it from the session's others.
    pid
        The process that they belong to.
    description
        The file that `leaf` reads.
    tampered
        Takes what something in it asked of us that nothing honest asks.
    """

    session: Session
    name: str
    pid: int
    description: Path
    tampered: Callable[[str], None] = field(repr=False)
    _places: Sequence[Path] = field(repr=False)
    _holder: subprocess.Popen[bytes] = field(repr=False)
    _root: int = field(repr=False)
    _first: int = field(repr=False)
    _others: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)
    _serving: list[tuple[str, subprocess.Popen[bytes], Path]] = field(default_factory=list, repr=False)

    @classmethod
    def open(
        cls, session: Session, name: str, project: Path, *,
        limits: Limits, environment: Mapping[str, str], tampered: Callable[[str], None], readable: Sequence[Path] = (),
        links: Mapping[str, str] = {}, ports: Sequence[int] = (), commands: Commands | None = None,
    ) -> Self:  # fmt: skip
        """Make them.

        Parameters
        ----------
        session, name
            See above.
        project
            A folder, of which a copy is in the sandbox, to be written to.
        limits
            What processes in it may use.
        environment
            All of the environment of its processes.
        tampered
            See above.
        readable
            What else it has, read-only, at the same paths.
        links
            Paths beneath /usr/local and /opt, and where they lead.
        ports
            Of 127.0.0.1, that are the same inside.
        commands
            Whose warm parents it gets children of, for its `airflow` and `dbt`.

        Raises
        ------
        CourseError
            When bubblewrap cannot.
        """
        home = session.folder / f"{name}-sandbox"
        (home / GATE).mkdir(parents=True)
        (home / "passwd").write_text(f"student:x:{INSIDE}:{INSIDE}::{session.folder}/home:/bin/sh\n")
        (home / "group").write_text(f"student:x:{INSIDE}:\n")
        read, write = os.pipe()
        with owner.user_namespace(OUTSIDE if os.geteuid() == 0 else None) as users:
            argv = [
                "bwrap", "--userns", str(users), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
                "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "course",
                *_mounts(session, home, project, limits, readable, links),
                "--info-fd", str(write), "sh", "-c", "echo ready; exec cat",
            ]  # fmt: skip
            holder = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(home / "bwrap.log").open("wb"),
                pass_fds=[users, write], env={**session.environment(), "PATH": os.environ["PATH"]},
            )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as told:
            info = told.read()
        if not holder.stdout or holder.stdout.readline() != b"ready\n":
            holder.kill()
            raise CourseError(
                f"bubblewrap cannot make a sandbox: {(home / 'bwrap.log').read_text(errors='replace').strip()}",
                todo="Run ./course doctor.",
            )
        pid = json.loads(info)["child-pid"]
        description = home / "description.json"
        description.write_text(
            json.dumps({
                "pid": pid, "started": leaf.started(pid), "uid": INSIDE, "gid": INSIDE, "limits": limits.each(),
                "ours": limits.ours(),
                "environment": dict(environment), "folder": str(project),
            })
        )  # fmt: skip
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
        places = [*_writable(session, project), SHARED_MEMORY]
        made = cls(session, name, pid, description, tampered, places, holder, root, os.pidfd_open(pid))
        try:
            made.put(project)
            made._join_up(ports, commands)
        except BaseException:
            made.close()
            raise
        return made

    def _join_up(self, ports: Sequence[int], commands: Commands | None) -> None:
        if ports:
            module = "autograder.sandbox.forward"
            numbers = map(str, ports)
            argv = (commands.module if commands and commands.ready("airflow") else _cold)(
                module, str(self.description), *numbers
            )
            log = f"{self.name}-forward"
            forwarder = self.session.start(log, argv)
            self._others.append(forwarder)
            said = self.session.logs / f"{log}.log"
            self.session.wait_until(
                lambda: said.exists() and "ready" in said.read_text(), "The forwarder of the sandbox's ports",
                process=forwarder, name=log, limit=READY_WITHIN,
            )  # fmt: skip
        for program, (argv, socket) in commands.inside().items() if commands else ():
            environment = {SANDBOX: str(self.description)}
            serving = self.session.start(f"{self.name}-warm-{program}", argv, env=environment)
            self._others.append(serving)
            self._serving.append((program, serving, socket))

    @property
    def gate(self) -> Path:
        """A folder that is there inside as well, and that only we write to."""
        return self.description.parent / GATE

    def wait(self) -> None:
        """Wait until its commands are there.

        Raises
        ------
        CourseError
            When one cannot be.
        """
        while self._serving:
            program, serving, socket = self._serving[-1]
            self.session.wait_until(
                functools.partial(self.is_there, socket), f"The sandbox's {program}",
                process=serving, name=f"{self.name}-warm-{program}", limit=PRELOADED_WITHIN,
            )  # fmt: skip
            self._serving.pop()

    def popen(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] = {},
        **options: Any,  # noqa: ANN401 - as Popen has them
    ) -> subprocess.Popen[Any]:
        """Start a program inside, with the sandbox's environment and `env`; `options` as for `subprocess.Popen`."""
        entering = [sys.executable, "-I", "-S", leaf.__file__, str(self.description)]
        inner = {**leaf.described(str(self.description))["environment"], **env}
        # Not in `cwd`: outside it may not be there.
        start = ["sh", "-c", 'cd "$0" && exec "$@"', str(cwd)]
        return subprocess.Popen([*entering, *start, *argv], cwd="/", env=inner, start_new_session=True, **options)

    def put(self, folder: Path) -> None:
        """Copy a folder to the same place inside.

        Raises
        ------
        CourseError
            When it does not fit.
        """
        with tempfile.TemporaryFile() as said:
            packing = subprocess.Popen(["tar", "-c", "-C", str(folder), "."], stdout=subprocess.PIPE, stderr=said)
            unpack = ["sh", "-c", 'mkdir -p "$0" && exec tar -x -C "$0"', str(folder)]
            code = self.popen(unpack, cwd=Path("/"), stdin=packing.stdout, stdout=said, stderr=said).wait()
            if packing.stdout:
                packing.stdout.close()
            if packing.wait() or code:
                said.seek(0)
                raise CourseError(
                    f"The project cannot be put into the sandbox: {said.read().decode(errors='replace')[-500:]}",
                    where=str(folder),
                )

    def read(self, path: Path, limit: int) -> bytes | None:
        """Return the first `limit` bytes of a file that was written inside; None where there is no plain file.

        No link is followed, and nothing is waited for.
        """
        parts = path.relative_to("/").parts
        try:
            place = os.dup(self._root)
            for part in parts[:-1]:
                place = _step(place, part, os.O_PATH | os.O_DIRECTORY)
            with os.fdopen(_step(place, parts[-1], os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                return file.read(limit) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except OSError:
            return None

    def is_there(self, path: Path) -> bool:
        """Return whether there is anything at a path inside."""
        with contextlib.suppress(OSError):
            os.stat(str(path.relative_to("/")), dir_fd=self._root, follow_symlinks=False)
            return True
        return False

    def written(self) -> list[tuple[int, int]]:
        """Return of each place that can be written to how many files it has, and how many bytes, which are memory."""
        found = []
        for place in self._places:
            with contextlib.suppress(OSError):
                handle = os.open(str(place.relative_to("/")), os.O_PATH | os.O_NOFOLLOW, dir_fd=self._root)
                try:
                    about = os.statvfs(handle)
                    bytes_used = (about.f_blocks - about.f_bfree) * about.f_frsize
                    found.append((about.f_files - about.f_ffree, bytes_used))
                finally:
                    os.close(handle)
        return found

    def end(self) -> None:
        """End all that is inside: with the first process of a namespace the kernel ends the others."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        self._holder.kill()

    def close(self) -> None:
        """End all that is inside, and what served it."""
        self.end()
        self._holder.wait()
        for pipe in (self._holder.stdin, self._holder.stdout):
            _close(pipe)
        for process in self._others:
            process.kill()
            process.wait()
        for handle in (self._root, self._first):
            with contextlib.suppress(OSError):
                os.close(handle)


def _close(pipe: IO[bytes] | None) -> None:
    with contextlib.suppress(OSError):
        if pipe:
            pipe.close()


def _cold(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _step(place: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)


def _mounts(
    session: Session, home: Path, project: Path, limits: Limits, readable: Sequence[Path], links: Mapping[str, str]
) -> list[str]:
    """Return bubblewrap's arguments for what is there."""
    size = str(limits.disk_mb * 2**20)

    def writable(place: Path) -> list[str]:
        return ["--perms", "1777", "--size", size, "--tmpfs", str(place)]

    system = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", *(f"/etc/{name}" for name in ETC)]
    # By what it holds, so that links can be added.
    for top in map(Path, ("/usr", "/usr/local")):
        system += map(str, top.iterdir()) if top.is_dir() else ()
    system = [
        path for path in system if path != "/usr/local" and not any(link.startswith(f"{path}/") for link in links)
    ]
    python = {sys.base_prefix, sys.prefix} - {"/usr", "/usr/local"}
    ours = [*(ROOT / part for part in COURSE), session.folder / FOLDER, home / GATE, *readable]
    there = {path: _read_only(path) for path in [*map(Path, system), *map(Path, python), *ours]}
    there |= {Path("/etc", name): ["--ro-bind", str(home / name), f"/etc/{name}"] for name in ("passwd", "group")}
    there |= {Path(path): ["--symlink", target, path] for path, target in links.items()}
    there |= {place: writable(place) for place in _writable(session, project)}
    there |= {session.folder / name: ["--perms", "1777", "--dir", str(session.folder / name)] for name in OWN}
    argv, made = ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"], {Path("/")}
    for path in sorted(there, key=lambda path: len(path.parts)):  # outer places first
        for parent in reversed(path.parents):
            argv += [] if parent in made else ["--perms", "0755", "--dir", str(parent)]
            made.add(parent)
        argv += there[path]
        made.add(path)
    return [*argv, *writable(SHARED_MEMORY), "--remount-ro", "/dev", "--remount-ro", "/"]


def _writable(session: Session, project: Path) -> list[Path]:
    places = [TMP, session.folder]
    return places if any(place in project.parents for place in places) else [*places, project]


def _read_only(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []
