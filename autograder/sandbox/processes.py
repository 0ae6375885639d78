"""What /proc tells of processes: who is in a sandbox, who is at work, how much memory each has.

Contract: of a process that has ended nothing is told, and nothing raised.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def members(holders: Iterable[int]) -> list[int]:
    """Return the processes that are in the same process namespaces as these, these among them."""
    wanted = set()
    for holder in holders:
        with contextlib.suppress(OSError):
            wanted.add(os.stat(f"/proc/{holder}/ns/pid").st_ino)  # noqa: PTH116 - done often
    found = []
    for name in os.listdir("/proc") if wanted else ():  # noqa: PTH208
        if name.isdecimal():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}/ns/pid").st_ino in wanted:  # noqa: PTH116
                    found.append(int(name))
    return found


def is_busy(pid: int) -> bool:
    """Return whether a process is at work, or would be if it had the CPU."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"R"
    return False


def resident(pid: int) -> int:
    """Return the memory of a process, in bytes, without what it shares with files."""
    with contextlib.suppress(OSError, ValueError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return 0


def proportional(pid: int) -> int:
    """Return the memory of a process, in bytes, with its share of what several have: slower than `resident`."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
