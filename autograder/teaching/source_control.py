"""Make the source misbehave from a notebook, and see what was asked of it.

Contract: the source of this notebook's Airflow, and no other, answers as it is told, until `source_reset`. The
faults are those of `autograder.airflow_local.source.write_faults`; the requests are its access log.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.teaching.shown import Shown, colour, table

MONTH = "/trip-data/green_tripdata_{}.parquet"


def source_fault(path: str, *, status: int | None = None, times: int | None = None, damage: bool = False) -> None:
    """Make the source answer requests for one file with an error, or serve it damaged.

    Parameters
    ----------
    path
        A month such as `2024-03`, or a path such as `/misc/taxi_zone_lookup.csv`.
    status
        The HTTP status to answer, such as 503 (busy) or 403 (not published).
    times
        How many requests get it; all when not given.
    damage
        Serve the first half of the file, and say nothing.

    Raises
    ------
    CourseError
        When neither a status nor damage is asked for, or both are.
    """
    from autograder.airflow_local.source import write_faults  # imports a web server

    if (status is None) != damage:
        raise CourseError("Ask for one fault: status=503, or damage=True.", exit_code=1)
    full = path if path.startswith("/") else MONTH.format(path)
    file = _file("COURSE_SOURCE_FAULTS")
    asked: dict[str, Sequence[Mapping[str, object]]] = json.loads(file.read_text()) if file.exists() else {}
    fault: dict[str, object] = {"damage": True} if damage else {"status": status}
    asked[full] = [fault if times is None else {**fault, "times": times}]
    write_faults(file, asked)
    how = "serves half of" if damage else f"answers {status} for"
    print(f"From now on the source {how} {full}{'' if times is None else f', {times} times'}.")


def source_reset() -> None:
    """Let the source answer as it should again."""
    _file("COURSE_SOURCE_FAULTS").unlink(missing_ok=True)
    print("The source is well again.")


def source_misbehaves() -> bool:
    """Return whether the source of this notebook's Airflow answers as `source_fault` has told it."""
    return Path(os.environ.get("COURSE_SOURCE_FAULTS", "")).is_file()


def source_requests(path: str = "", last: int = 10) -> Shown:
    """Show the last requests that the source answered.

    Parameters
    ----------
    path
        Part of the path, such as `2024-03`; all requests when empty.
    last
        How many.
    """
    found = requests(path)[-last:]
    rows = [[one["time"][11:19], one["method"], one["path"], one["status"], one["bytes"]] for one in found]
    colours = {(n, 3): colour("success" if one["status"] < 400 else "failed") for n, one in enumerate(found)}
    statuses = ", ".join(str(one["status"]) for one in found) or "none"
    columns = ["time (UTC)", "method", "path", "status", "bytes"]
    return table(columns, rows, f"What the source answered, oldest first: {statuses}.", colours)


def requests(path: str = "") -> list[dict[str, Any]]:
    """Return what the source has answered so far, oldest first: time, method, path, status and bytes of each."""
    from autograder.airflow_local.source import read_log  # imports a web server

    log = _file("COURSE_SOURCE_LOG")
    return [one for one in read_log(log) if path in one["path"]] if log.exists() else []


def _file(variable: str) -> Path:
    if variable not in os.environ:
        raise CourseError(
            "This notebook has no source of its own.",
            where=f"environment variable {variable}",
            todo="Open the notebooks with ./course lab.",
        )
    return Path(os.environ[variable])
