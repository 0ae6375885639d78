"""A program to run both ways: as itself, and as a child of a warm parent (see test_warm.py)."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def run() -> int:
    """Do what the first argument says."""
    what, *rest = sys.argv[1:]
    if what == "echo":
        sys.stdout.write(sys.stdin.read().upper())
    elif what == "bytes":
        sys.stdout.buffer.write(bytes(range(256)) * 65536)
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
    elif what == "limits":
        print(resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0), time.strftime("%Z"))
    elif what == "path":
        print(*sys.path, sep="\n")
    elif what == "terminal":
        print([os.isatty(number) for number in range(3)], os.get_terminal_size(), sys.stdout.line_buffering)
        print(input("name? "))
    elif what == "children":
        # What a key of the terminal sends reaches these as well as the command itself.
        code = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(9)); print('ready', flush=True); "
        with subprocess.Popen([sys.executable, "-c", code + "signal.pause()"]) as child:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sys.exit(child.wait() + 1)
    elif what == "count":
        for number in range(10**9):
            Path(f"{rest[0]}.new").write_text(str(number))
            Path(f"{rest[0]}.new").rename(rest[0])
            if number == 0:
                print("ready", flush=True)
            time.sleep(0.01)
    elif what == "surrogate":
        print("\udce9", file=sys.stderr)
    elif what == "lines":
        for number in range(10**6):
            print(number)
    elif what == "random":
        import numpy

        print(numpy.random.random(), random.random())
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


def preloaded() -> Callable[[], int]:
    """Make ready what a test asks for."""
    if os.environ.get("PROBE_THREAD"):
        threading.Thread(target=time.sleep, args=[600], daemon=True).start()
    if os.environ.get("PROBE_CONNECTION"):
        preload.kept = socket.create_connection(("127.0.0.1", int(os.environ["PROBE_CONNECTION"])))  # type: ignore[attr-defined]
    print("imported", flush=True)
    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        import socket
        import threading

        from autograder.airflow_local import preload, warm

        preload.PROGRAMS["probe"] = preloaded
        warm.PACKAGES = [Path(folder) for folder in sys.argv[3:]]
        sys.exit(warm.main("probe", sys.argv[2]))
    sys.exit(run())
