"""Run a program in a process of its own, and keep what it says.

Contract: `run()` returns the program's exit code. However the wait for it ends (done, time over, interrupt),
the program has ended when `run()` returns or raises.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_GRACE_S = 30
_TOLD_LINES = 15


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    output: Path,
    env: Mapping[str, str] | None = None,
    limit_s: float | None = None,
) -> int:
    """Run a program to its end.

    Parameters
    ----------
    command
        The program and its arguments.
    cwd
        The folder that it runs in.
    output
        The file that takes its stdout and stderr.
    env
        Its environment; ours when not given.
    limit_s
        Seconds that it may take.

    Raises
    ------
    subprocess.TimeoutExpired
        When it takes longer.
    """
    # A file takes the output, not a pipe: a pipe would stay open as long as any grandchild.
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a signal to our group must not cut its own clean-up short
        )
    try:
        return process.wait(limit_s)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def tail(output: Path) -> str:
    """Return the last lines of what a program said."""
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-_TOLD_LINES:])
