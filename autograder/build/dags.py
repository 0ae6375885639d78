"""DAG files from the chapters that teach them.

Contract: a chapter's cell that starts with `%%writefile ../dags/NAME.py` is the file dags/NAME.py, byte for
byte what running the cell writes; a cell tagged `temporary` writes a file that the chapter removes or writes again.
Of two such cells in one chapter the later one counts, as when the chapter
is run; two chapters may not write the same file.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from autograder.build.notebooks import Notebook
from autograder.errors import CourseError

TEMPORARY = "temporary"
"""Tags a cell whose DAG file does not belong to the clone."""

_WRITEFILE = re.compile(r"%%writefile \.\./dags/(\w+\.py)\n(.*)", re.DOTALL)


def dag_files(chapters: Mapping[Path, Notebook]) -> dict[str, str]:
    """Return each DAG file's text by its name.

    Parameters
    ----------
    chapters
        The chapters' notebooks by their paths.

    Raises
    ------
    CourseError
        When two chapters write the same file.
    """
    texts: dict[str, str] = {}
    writers: dict[str, Path] = {}
    for path, notebook in chapters.items():
        for cell in notebook.cells:
            if TEMPORARY in cell.metadata.get("tags", []):
                continue
            if cell.cell_type != "code" or not (match := _WRITEFILE.fullmatch(cell.source)):
                continue
            name, text = match.groups()
            if writers.setdefault(name, path) != path:
                raise CourseError(
                    f"Two chapters write dags/{name}.",
                    where=f"{writers[name]} and {path}",
                    todo="Let one of them write it, or give the files two names.",
                )
            texts[name] = f"{text}\n"
    return texts
