"""The user namespace of a sandbox, which its other namespaces belong to.

Contract: `user_namespace` gives a descriptor of a new one, in which one ordinary user exists, and no further user
namespace can be made. For root that user is another one outside: files and processes of root's are not its own.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from autograder.errors import CourseError

_MAKE = (
    "import ctypes, sys; c = ctypes.CDLL(None, use_errno=True); failed = c.unshare(0x10000000);"
    " print(ctypes.get_errno() if failed else 0, flush=True); sys.stdin.readline();"
    " open('/proc/sys/user/max_user_namespaces', 'w').write('0'); print(0, flush=True); sys.stdin.readline()"
)


@contextlib.contextmanager
def user_namespace(other: int | None, inside: int = 1000) -> Iterator[int]:
    """Make one, and yield a descriptor of it.

    Parameters
    ----------
    other
        For root, the user outside that is `inside` in it, beside root itself, which only mounts.
    inside
        The user in it; this user outside, unless `other` is given.

    Raises
    ------
    CourseError
        When the kernel refuses.
    """
    maker = subprocess.Popen([sys.executable, "-I", "-S", "-c", _MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert maker.stdin  # noqa: S101 - pipes
    assert maker.stdout  # noqa: S101
    try:
        if (answer := maker.stdout.readline()) != b"0\n":
            why = os.strerror(int(answer)) if answer.strip() else "it ended"
            raise CourseError(f"The kernel makes no user namespace: {why}.", todo="Run ./course doctor.")
        process = Path(f"/proc/{maker.pid}")
        if other is None:
            (process / "setgroups").write_text("deny")
            uids, gids = f"{inside} {os.geteuid()} 1", f"{inside} {os.getegid()} 1"
        else:
            uids = gids = f"0 0 1\n{inside} {other} 1"
        (process / "uid_map").write_text(uids)
        (process / "gid_map").write_text(gids)
        maker.stdin.write(b"\n")
        maker.stdin.flush()
        maker.stdout.readline()
        handle = os.open(process / "ns" / "user", os.O_RDONLY)
        try:
            yield handle
        finally:
            os.close(handle)
    finally:
        maker.kill()
        maker.communicate()
