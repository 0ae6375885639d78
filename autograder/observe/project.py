"""From what was handed in to the one folder that is run.

Contract: `write_project` copies the parts of a submission that count (`PARTS`) into an empty folder. A notebook's
part is what its `%%writefile` cells would write, read without running anything. Where the submission has no dbt
project, the course's stands in. `content_digest` names what such a folder holds, `described` tells of it.
"""

import hashlib
import json
import re
import shlex
import shutil
import textwrap
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.paths import ASSIGNMENT, DBT_PROJECT

FOLDERS = ("dags", "include", "tests")
TEXTS = ("RUNBOOK.md", "ASSIGNMENT_REPORT.md")
PARTS = (*FOLDERS, *TEXTS)
"""What counts of a submission; the rest stays behind."""

KEPT_TEXT = 100_000
"""Characters of a text that are kept as evidence."""

LARGEST = 5_000_000
"""Bytes of a file that is code or a text: no larger one is taken in."""

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".ipynb_checkpoints", "target", "logs", "dbt_packages")
WRITEFILE = re.compile(r"%%(?:writefile|file) (?P<arguments>[^\n]*)\n(?P<body>.+)", re.DOTALL)
APPEND = ("-a", "--append")


def write_project(submission: Path, into: Path) -> Path:
    """Write the project of a submission.

    Parameters
    ----------
    submission
        A notebook, or a folder with `dags/`, or a folder with the assignment's notebook.
    into
        An empty or new folder.

    Returns
    -------
    Path
        `into`.

    Raises
    ------
    CourseError
        When there is nothing to run in `submission` (the student's work is not there yet), or the notebook
        cannot be read.
    """
    (into / "dags").mkdir(parents=True, exist_ok=True)
    notebook = submission if submission.suffix == ".ipynb" else submission / f"{ASSIGNMENT}.ipynb"
    if (submission / "dags").is_dir():
        for part in FOLDERS:
            if (submission / part).is_dir():
                shutil.copytree(submission / part, into / part, ignore=_left_behind, dirs_exist_ok=True)
        for part in TEXTS:
            if (submission / part).is_file() and not _left_behind(str(submission), [part]):
                shutil.copyfile(submission / part, into / part)
    elif notebook.is_file():
        for path, body in written_files(notebook):
            _write(into, path, body)
    else:
        raise CourseError(
            "There is nothing here to run: neither a folder dags/ nor the assignment's notebook.",
            where=str(submission),
            todo=f"Hand in {ASSIGNMENT}.ipynb, or a project with dags/taxi_pipeline.py.",
            exit_code=1,
        )
    if not (into / "include" / "dbt_project").is_dir():
        shutil.copytree(DBT_PROJECT, into / "include" / "dbt_project", ignore=IGNORED)
    return into


def _left_behind(folder: str, names: list[str]) -> set[str]:
    """Return what is not copied: what tools left, links (they lead to what was not handed in), what is too large."""
    paths = {name: Path(folder, name) for name in names}
    large = {name for name, path in paths.items() if path.is_file() and path.stat().st_size > LARGEST}
    return IGNORED(folder, names) | {name for name, path in paths.items() if path.is_symlink()} | large


def _write(into: Path, path: Path, body: str) -> None:
    try:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        (into / path).write_text(body, encoding="utf-8", newline="")
    except OSError as error:
        raise CourseError(
            f"What a %%writefile cell writes cannot be written: {error.strerror}.",
            where=str(path),
            todo="Write to a path such as dags/taxi_pipeline.py.",
            exit_code=1,
        ) from error


def written_files(notebook: Path) -> list[tuple[Path, str]]:
    """Return the files that a notebook's `%%writefile` cells write, run from the top, with their last text.

    Raises
    ------
    CourseError
        When the notebook is not one, or a cell writes outside the project.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"This is not a notebook that can be read ({type(error).__name__}: {error}).",
            where=str(notebook),
            todo="Open it in JupyterLab and save it again.",
            exit_code=1,
        ) from error
    files: dict[Path, str] = {}
    for source in sources:
        if (found := _written(source)) is None:
            continue
        path, body, append = found
        if path.is_absolute() or ".." in path.parts or str(path).startswith("~"):
            raise CourseError(
                "A %%writefile cell writes outside the project.",
                where=f"{notebook}: {path}",
                todo="Write to a path such as dags/taxi_pipeline.py.",
                exit_code=1,
            )
        files[path] = files.get(path, "") + body if append else body
    return list(files.items())


def _written(source: str) -> tuple[Path, str, bool] | None:
    """Return the path, the text, and whether it is appended, that a cell writes; None where IPython writes nothing."""
    # IPython ends the text with a newline, and leaves out empty lines at the top and a common indent.
    source = source if source.endswith("\n") else f"{source}\n"
    source = textwrap.dedent(re.sub(r"\A\s*\n", "", source))
    found = WRITEFILE.fullmatch(source)
    if not found:
        return None
    try:
        arguments = shlex.split(found["arguments"])
    except ValueError:  # a quote that is not closed
        return None
    paths = [argument for argument in arguments if argument not in APPEND]
    if len(paths) != 1 or paths[0].startswith("-"):
        return None
    return Path(paths[0]), found["body"], len(arguments) > 1


def content_digest(project: Path) -> str:
    """Return a name for what a project's parts hold; equal contents have equal names."""
    content = hashlib.sha256()
    for path in _files(project):
        content.update(f"{path.relative_to(project)}\0{path.stat().st_size}\0".encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def _files(project: Path) -> list[Path]:
    parts = [project / part for part in PARTS]
    found = [path for part in parts for path in (part.rglob("*") if part.is_dir() else [part])]
    return sorted(
        path
        for path in found
        if path.is_file() and not IGNORED(str(path.parent), list(path.relative_to(project).parts))
    )


def described(project: Path) -> dict[str, Any]:
    """Tell what was handed in: the names of files in dags/ and tests/, and the texts, cut, or None where there is none.

    `unread` has the names of texts that are not text.
    """
    names = [str(path.relative_to(project)) for path in _files(project)]
    found: dict[str, Any] = {
        folder: [name.removeprefix(f"{folder}/") for name in names if name.startswith(f"{folder}/")]
        for folder in ("dags", "tests")
    }
    unread = []
    for text in TEXTS:
        found[text] = None
        if (project / text).is_file():
            try:
                found[text] = (project / text).read_text(encoding="utf-8")[:KEPT_TEXT]
            except UnicodeDecodeError:
                unread.append(text)
    return {**found, "unread": unread}
