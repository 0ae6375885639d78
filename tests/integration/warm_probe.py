"""A program to run both ways: as itself, and as a child of a warm parent (see test_warm.py)."""

import os
import signal
import sys
import time
from pathlib import Path


def run() -> int:
    """Do what the first argument says."""
    what, *rest = sys.argv[1:]
    if what == "echo":
        sys.stdout.write(sys.stdin.read().upper())
    elif what == "bytes":
        sys.stdout.buffer.write(bytes(range(256)) * 4096)
    elif what == "streams":
        print("to stdout")
        print("to stderr", file=sys.stderr)
    elif what == "place":
        os.umask(mask := os.umask(0))
        print(Path.cwd(), oct(mask), sys.argv, os.environ.get("PROBE"), "HOME" in os.environ)
        print(
            sys.stdin.isatty(),
            sys.stdout.isatty(),
            sorted(path.name for path in Path("/proc/self/fd").iterdir()) if rest else "",
        )
    elif what == "exit":
        sys.exit(rest[0] if not rest[0].isdigit() else int(rest[0]))
    elif what == "raise":
        raise ValueError("on purpose")
    elif what == "kill":
        os.kill(os.getpid(), int(rest[0]))
    elif what == "wait":
        if rest:
            signal.signal(int(rest[0]), lambda number, _: sys.exit(40 + number))
        print("ready", flush=True)
        time.sleep(60)
    elif what == "thread":
        import threading

        threading.Timer(0.2, print, ["from the thread"]).start()
    elif what == "atexit":
        import atexit

        atexit.register(print, "at exit")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        from autograder.airflow_local import preload, warm

        preload.PROGRAMS["probe"] = lambda: run
        sys.exit(warm.main("probe", sys.argv[2]))
    sys.exit(run())
