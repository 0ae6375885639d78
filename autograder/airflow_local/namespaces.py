"""Folders of a process's own: the paths that a deployed DAG names, without touching the machine.

Contract (Linux): `bind` gives this process, and what it starts, a mount namespace in which folders that the machine
does not have are the project's; nobody else sees them. `join` enters the namespaces of another process. Both are
called in a forked child, which has one thread. No privilege is needed where the kernel allows user namespaces.
"""

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
KINDS = {"user": CLONE_NEWUSER, "mnt": CLONE_NEWNS}
"""The namespaces that matter here, in the order in which they can be joined."""


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    _call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, None)


def join(handles: Mapping[str, int]) -> bool:
    """Enter namespaces by their handles (`/proc/PID/ns/KIND`, opened); return whether that changed anything."""
    changed = False
    for kind, flag in KINDS.items():
        if kind in handles and os.fstat(handles[kind]).st_ino != Path(f"/proc/self/ns/{kind}").stat().st_ino:
            _call("setns", handles[kind], flag)
            changed = True
    return changed


def bind(folders: Mapping[str, str]) -> None:
    """Let each path be the folder that it is mapped to, for this process and its children.

    Raises
    ------
    OSError
        When the kernel refuses, or a path cannot be made.
    """
    user, group = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWNS | (CLONE_NEWUSER if user else 0))
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    opened = {path: os.open(folder, os.O_PATH) for path, folder in folders.items()}
    for path, handle in opened.items():
        _make(Path(path))
        _mount(f"/proc/self/fd/{handle}", path, None, MS_BIND | MS_REC)
        os.close(handle)


def _make(path: Path) -> None:
    """Make a folder that only this namespace has."""
    there = next(parent for parent in (path, *path.parents) if parent.is_dir())
    if there == path:
        return
    if there == Path("/"):
        raise OSError(f"/{path.parts[1]} is not there")
    # What `there` holds is put back, piece by piece, in an empty folder in its place: that one may be added to.
    before = os.open(there, os.O_PATH)
    names = os.listdir(there)  # noqa: PTH208 - names
    _mount("tmpfs", str(there), "tmpfs", 0)
    for name in names:
        old, new = Path(f"/proc/self/fd/{before}/{name}"), there / name
        if old.is_symlink():
            new.symlink_to(old.readlink())
            continue
        new.mkdir() if old.is_dir() else new.touch()
        _mount(str(old), str(new), None, MS_BIND | MS_REC)
    os.close(before)
    path.mkdir(parents=True)


def can_bind() -> bool:
    """Return whether `bind` works here, by trying it in a process of its own."""
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        try:
            bind({"/opt/course-trial": "/"})
        except (OSError, StopIteration):
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
