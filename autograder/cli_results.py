"""What commands have in common: options, how a result is written, and the exit code that it gives.

Contract: a result is written whole or not at all, and whether it can be written is known before the work begins.
"""

import errno
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from autograder.errors import CourseError


def writable(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before the work that it is to hold."""
    if path:
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            _beside(path).touch()
            _beside(path).unlink()
        except OSError as error:
            raise CourseError(
                f"The result cannot be written to {path.name}: {error.strerror}.",
                where=str(path.absolute()),
                todo="Name a file in a folder that is there, and that you may write to.",
            ) from error
    return path


Data = Annotated[
    Path | None,
    typer.Option(resolve_path=True, help="A folder of real TLC files to read in place of generated months."),
]
Json = Annotated[
    Path | None, typer.Option("--json", callback=writable, help="Also write the result to this file, as JSON.")
]


def exit_unless_passed(documents: list[dict[str, Any]]) -> None:
    """Exit with 2 where a check could not be made, and with 1 where one has not passed."""
    outcomes = {check["verdict"] for document in documents for check in document["checks"]}
    if "could_not_check" in outcomes:
        raise typer.Exit(2)
    if outcomes - {"pass"}:
        raise typer.Exit(1)


def points(grade: dict[str, float]) -> str:
    """Return a grade as a person reads it."""
    return f"{grade['score']:g} of {grade['max_score']:g}"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def write_json(path: Path | None, document: object) -> None:
    """Write a result where a file was named for it."""
    if path:
        _beside(path).write_text(json.dumps(document, indent=1) + "\n")
        _beside(path).rename(path)
