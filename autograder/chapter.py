"""Run a notebook headlessly with papermill.

Contract: `execute` runs a notebook top to bottom in a process of its own and returns the executed copy. When a
cell raises, the `CourseError` names the cell and the error, and the executed copy, the log of the run, stays.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat

from autograder.airflow_local.session import Session, tail
from autograder.errors import CourseError

CELL_LIMIT = 900
"""Seconds that one cell may take."""


def execute(
    session: Session,
    notebook: Path,
    *,
    cwd: Path,
    env: Mapping[str, str],
    parameters: Mapping[str, str],
    cell_limit: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Path:
    """Run a notebook.

    Parameters
    ----------
    session
        Owns the process; the executed copy is kept with its logs.
    notebook
        The notebook to run; it is not changed.
    cwd
        The folder that its cells run in.
    env
        Environment of its kernel beyond ours.
    parameters
        Values for its cell tagged `parameters`; each must be declared there.
    cell_limit
        Seconds that one cell may take; CELL_LIMIT when not given.
    told
        Takes lines of progress.

    Raises
    ------
    CourseError
        When a cell raises, a parameter is not declared, or papermill fails.
    """
    try:
        cells = len(nbformat.read(notebook, as_version=4).cells) + bool(parameters)  # these get a cell of their own
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise CourseError(
            f"{notebook.name} cannot be read as a notebook: {error}",
            where=str(notebook),
            todo="Make it again with ./course build.",
        ) from error
    if unknown := set(parameters) - _parameters(notebook):
        raise CourseError(
            f"The notebook has no parameter called {', '.join(sorted(unknown))}.",
            where=str(notebook),
            todo="Declare it in the cell tagged `parameters`.",
        )
    executed = session.logs / notebook.name
    name = f"papermill-{notebook.stem}"
    argv = [sys.executable, "-m", "papermill", str(notebook), str(executed), "-k", "python3", "--cwd", str(cwd)]
    limit = cell_limit or CELL_LIMIT
    argv += ["--execution-timeout", str(limit), "--no-progress-bar", "--log-output"]
    argv += [part for key, value in parameters.items() for part in ("-r", key, value)]
    isolated = {"IPYTHONDIR": str(session.folder / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1", "NO_COLOR": "1"}
    process = session.start(name, argv, env={**env, **isolated}, cwd=cwd)
    log = session.logs / f"{name}.log"
    last = -1
    while (code := _finished(process)) is None:
        done = log.read_text(errors="replace").count("Ending Cell") if log.exists() else 0
        if done != last:
            told(f"cell {done} of {cells}")
            last = done
    if code:
        raise _failure(notebook, executed, log, limit)
    return executed


def _finished(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return None


def _parameters(notebook: Path) -> set[str]:
    from papermill.inspection import inspect_notebook

    return set(inspect_notebook(str(notebook)))


def _failure(notebook: Path, executed: Path, log: Path, limit: int) -> CourseError:
    reached = [cell for cell in _readers_cells(executed) if cell["metadata"]["papermill"]["start_time"]]
    fate = _fate(reached[-1], log.read_text(errors="replace"), limit) if reached else None
    if not fate:
        return CourseError(f"papermill failed:\n{tail(log)}", where=str(log), todo="Run ./course doctor.")
    first = "".join(reached[-1]["source"]).strip().splitlines()[0]
    return CourseError(
        f"Cell {len(reached)} of the notebook {fate}",
        where=f"{notebook.name}, the cell that begins `{first}`",
        todo=f"See the executed notebook: {executed}",
    )


def _readers_cells(executed: Path) -> list[dict[str, Any]]:
    # papermill puts in banners and the given parameters: these are not the reader's to count.
    added = {"papermill-error-cell-tag", "injected-parameters"}
    cells = json.loads(executed.read_text())["cells"] if executed.exists() else []
    return [cell for cell in cells if not added & set(cell["metadata"].get("tags", []))]


def _fate(cell: dict[str, Any], said: str, limit: int) -> str | None:
    if "nbclient.exceptions.CellTimeoutError" in said:
        return f"took longer than {limit} s."
    if "nbclient.exceptions.DeadKernelError" in said:
        return "ended its kernel."
    errors = [output for output in cell.get("outputs", []) if output["output_type"] == "error"]
    return f"raised {errors[0]['ename']}: {errors[0]['evalue']}" if errors else None
