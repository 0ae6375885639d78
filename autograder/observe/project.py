"""From what was handed in to the one folder that is run.

Contract: `write_project` copies the parts of a submission that count (`dags/`, `include/`) into an empty
folder. A notebook's part is what its `%%writefile` cells would write, read without running anything. Where
the submission has no dbt project, the course's stands in. `content_digest` names what such a folder holds.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.paths import ASSIGNMENT, DBT_PROJECT

PARTS = ("dags", "include")
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".ipynb_checkpoints", "target", "logs", "dbt_packages")
WRITEFILE = re.compile(r"%%writefile[ \t]+(?P<append>-a[ \t]+)?(?P<path>\S.*?)[ \t]*\n(?P<body>.*)", re.DOTALL)


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
    into.mkdir(parents=True, exist_ok=True)
    notebook = submission if submission.suffix == ".ipynb" else submission / f"{ASSIGNMENT}.ipynb"
    if (submission / "dags").is_dir():
        for part in PARTS:
            if (submission / part).is_dir():
                shutil.copytree(submission / part, into / part, ignore=IGNORED, dirs_exist_ok=True)
    elif notebook.is_file():
        for path, body in written_files(notebook):
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body, encoding="utf-8")
    else:
        raise CourseError(
            "There is nothing here to run: neither a folder dags/ nor the assignment's notebook.",
            where=str(submission),
            todo=f"Hand in {ASSIGNMENT}.ipynb, or a project with dags/taxi_pipeline.py.",
            exit_code=1,
        )
    (into / "dags").mkdir(exist_ok=True)
    if not (into / "include" / "dbt_project").is_dir():
        shutil.copytree(DBT_PROJECT, into / "include" / "dbt_project", ignore=IGNORED)
    return into


def written_files(notebook: Path) -> list[tuple[Path, str]]:
    """Return the files that a notebook's `%%writefile` cells write, the last text of each.

    Raises
    ------
    CourseError
        When the notebook is not one, or a cell writes outside the project.
    """
    try:
        cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"This is not a notebook that can be read: {error}.",
            where=str(notebook),
            todo="Open it in JupyterLab and save it again.",
            exit_code=1,
        ) from error
    files: dict[Path, str] = {}
    for cell in cells:
        source = "".join(cell.get("source", ""))
        if cell.get("cell_type") != "code" or not (found := WRITEFILE.fullmatch(source)):
            continue
        path = Path(found["path"].strip("'\""))
        if path.is_absolute() or ".." in path.parts:
            raise CourseError(
                "A %%writefile cell writes outside the project.",
                where=f"{notebook}: {path}",
                todo="Write to a path such as dags/taxi_pipeline.py.",
                exit_code=1,
            )
        # IPython hands a cell magic its text with a newline at the end.
        body = found["body"] if found["body"].endswith("\n") else f"{found['body']}\n"
        files[path] = files.get(path, "") + body if found["append"] else body
    return list(files.items())


def content_digest(project: Path) -> str:
    """Return a name for what a project's parts hold; equal contents have equal names."""
    content = hashlib.sha256()
    for path in sorted(path for part in PARTS for path in (project / part).rglob("*")):
        relative = path.relative_to(project)
        if path.is_file() and not IGNORED(str(path.parent), list(relative.parts)):
            content.update(f"{relative}\0{path.stat().st_size}\0".encode())
            content.update(path.read_bytes())
    return content.hexdigest()
