"""Enter a sandbox: what a process does between being ours and running a student's code.

Contract: trusted processes stay outside, with their memory, connections and credentials. `guard` makes each child that
one of them forks enter the sandbox before anything else runs in it (a scheduler's workers excepted), or end: Airflow's
DAG files and tasks are run by such children. `python -I -S leaf.py DESCRIPTION ARG…` enters and becomes a program. One
that has entered is a process of the sandbox's namespaces, without privileges, limited, and has no descriptor of ours
but its streams; a process that stays outside in its place passes on signals and how it ended.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
"""CLONE_NEWUSER, NEWNS, NEWPID, NEWNET, NEWIPC, NEWUTS."""

ADDED = "COURSE_SANDBOX_ADDED"
"""Environment variable of a trusted process: more for its children's environment, as JSON."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 4, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
REFUSED = 97
"""Exit code of a process that could not enter."""

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH)  # fmt: skip

WORKERS_FORK = os.path.join("multiprocessing", "popen_fork.py")  # noqa: PTH118 - the end of a path
"""The file that forks LocalExecutor's workers, which supervise tasks and run none."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_entered = False


def _call(name: str, *arguments: object) -> None:
    if getattr(_LIBC, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def described(path: str) -> dict[str, Any]:
    """Read the description of a sandbox: `pid`, `started`, `uid`, `gid`, `limits`, `ours`, `environment`, `folder`."""
    found: dict[str, Any] = json.loads(Path(path).read_bytes())
    return found


def started(pid: int) -> int:
    """Return when a process began (clock ticks since the machine did): with its number, it names one process."""
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])


def enter(sandbox: dict[str, Any], keep: Collection[int] = ()) -> None:
    """Enter a sandbox; returns in the process that is inside, with the descriptors 0, 1, 2 and `keep`.

    Raises
    ------
    OSError
        When the sandbox has ended, or the kernel refuses.
    """
    holder = os.pidfd_open(sandbox["pid"])
    if started(sandbox["pid"]) != sandbox["started"]:
        raise ProcessLookupError("the sandbox has ended")
    # A task's supervisor has made itself one that nobody may look into: then what /proc/self has is root's alone.
    _call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    _let_go_of_all_but({0, 1, 2, holder, *keep})
    if os.geteuid() == 0:
        os.setgroups([])
    Path("/proc/self/oom_score_adj").write_text("1000")  # of all processes, the kernel ends these first
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    _call("setns", holder, NAMESPACES)
    os.close(holder)
    for name, limit in sandbox["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    for capability in range(last + 1):
        _call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    if os.geteuid() != sandbox["uid"]:
        os.setresgid(*[sandbox["gid"]] * 3)
        os.setresuid(*[sandbox["uid"]] * 3)
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _call("capset", (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    globals()["_entered"] = True
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    child = os.fork()  # only a child is in the namespace of processes
    if child:
        _stand_in(child, {0, 1, 2, *keep})
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _let_go_of_all_but(keep: Collection[int]) -> None:
    """Make every other descriptor lead nowhere; its number stays taken, since some object may yet close it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - quicker, and done at each fork
        if descriptor not in keep and descriptor != nothing:
            os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _stand_in(child: int, left: Collection[int]) -> NoReturn:
    """Outside, be to the child's parent what the child would be: pass signals on, end as it ends."""
    try:
        signal.set_wakeup_fd(-1)
        for descriptor in left:  # /proc tells nothing: it is the sandbox's, and this process is not in it
            os.close(descriptor)
        while True:
            told = signal.sigwait({*PASSED_ON, signal.SIGCHLD})
            if told != signal.SIGCHLD:
                _pass_on(child, told)
                continue
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            os.kill(os.getpid(), number)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    finally:
        os._exit(REFUSED)


def _pass_on(child: int, number: int) -> None:
    # A task is signalled with its group, which it leads once it has begun.
    for send in (os.killpg, os.kill):
        try:
            send(child, number)
        except OSError:
            continue
        return


def enter_here(path: str) -> None:
    """Enter with this process, which gets the sandbox's environment, and keeps its streams."""
    sandbox = described(path)
    ours = frozenset(os.environ)
    enter(sandbox)
    settle(sandbox, ours)


def guard(path: str, *, workers: bool) -> None:
    """From now on, let each child that this process and its workers fork enter the sandbox, or end.

    Parameters
    ----------
    path
        The sandbox's description.
    workers
        Whether what multiprocessing forks is a worker, as a scheduler's are.
    """
    sandbox = described(path)
    for name, limit in sandbox["ours"].items():
        resource.setrlimit(getattr(resource, name), (limit, max(limit, sandbox["limits"].get(name, 0))))
    sandbox["environment"] |= json.loads(os.environ.get(ADDED, "{}"))
    ours = frozenset(os.environ)

    def in_child() -> None:
        if _entered:
            return
        try:
            frame = sys._getframe(1)  # the one that forked
            if workers and frame.f_code.co_filename.endswith(WORKERS_FORK):
                return
            _become_leaf(sandbox, ours, frame.f_locals.values())
        except BaseException as error:
            # Python passes over errors in such a hook: the child would go on outside.
            os.write(2, f"The sandbox cannot be entered: {error!r}\n".encode())
            os._exit(REFUSED)

    os.register_at_fork(after_in_child=in_child)


def _become_leaf(sandbox: dict[str, Any], ours: Collection[str], values: Collection[object]) -> None:
    """Enter, with the sockets among `values` and nothing of our environment."""
    sockets = {one.fileno() for one in values if isinstance(one, socket.socket)}
    enter(sandbox, sockets)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.close(nothing)
    settle(sandbox, ours)


def settle(sandbox: dict[str, Any], ours: Collection[str]) -> None:
    """Give the process that has entered the sandbox's environment in place of `ours`, and its paths."""
    for name in ours:
        os.environ.pop(name, None)
    os.environ.update(sandbox["environment"])
    os.chdir(sandbox["folder"])
    paths = [path for path in sandbox["environment"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*sys.path[:1], *paths, *(path for path in sys.path[1:] if path not in paths)]
    importlib.invalidate_caches()


def main(path: str, *argv: str) -> NoReturn:
    """Enter a sandbox and become a program, in the folder in which this was started if the sandbox has it."""
    folder = os.getcwd()  # noqa: PTH109
    try:
        enter(described(path))
        try:
            os.chdir(folder)
        except OSError:
            os.chdir("/")
    except OSError as error:
        sys.stderr.write(f"The sandbox cannot be entered: {error}\n")
        sys.exit(REFUSED)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the point of it
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main(*sys.argv[1:])
