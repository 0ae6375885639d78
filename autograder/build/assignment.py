"""The teacher's assignment notebook, completed from where its facts stand.

Contract: a solution cell writes a file. Its solution is the reference DAG that a chapter writes where that file is
`dags/NAME.py`, and the text's own otherwise, in which a table's line `| MONTH | ROWS | ROWS |` gets the rows of that
month which the student called `reference` practises with. A grade cell asks for one check of the manifest, is named
after it and has its points; every check has one grade cell.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from autograder.airflow_local.local import practice_rows
from autograder.build.notebooks import Notebook
from autograder.errors import CourseError
from autograder.manifest import Course

BEGIN, END = "### BEGIN SOLUTION\n", "### END SOLUTION"

REFERENCE = "reference"
"""The student whose submission the solutions are."""

_WRITEFILE = re.compile(r"%%writefile (\S+)\n")
_REGION = re.compile(r"BEGIN SOLUTION.*END SOLUTION", re.DOTALL)
_ROWS = re.compile(r"^\| (\d{4}-\d{2}) \| [\d,]+ \| [\d,]+ \|$", re.MULTILINE)
_GRADE = re.compile(r'check\("([^"]+)"\)')


def complete(notebook: Notebook, dags: Mapping[str, str], course: Course, path: Path) -> None:
    """Put solutions and points into a notebook.

    Parameters
    ----------
    notebook
        The notebook, changed in place.
    dags
        The reference DAG files' texts by name.
    course
        The manifest.
    path
        Where the notebook stands, for messages.

    Raises
    ------
    CourseError
        When a cell and what it is made from don't fit together.
    """
    asked = []
    for cell in notebook.cells:
        role = cell.metadata.get("nbgrader", {})
        if role.get("solution"):
            cell.source = _solved(cell.source, dags, path)
        if role.get("grade"):
            match = _GRADE.fullmatch(cell.source)
            if not match:
                raise CourseError(
                    f"The grade cell {role['grade_id']} does more than ask for a check.",
                    where=str(path),
                    todo='Write check("…") and nothing else in it.',
                )
            check = course.check(match[1])
            role["grade_id"], role["points"] = check.grade_id, check.points
            asked.append(check.id)
    expected = sorted(check.id for check in course.checks)
    if sorted(asked) != expected:
        wrong = sorted(set(expected) ^ set(asked)) or sorted({one for one in asked if asked.count(one) > 1})
        raise CourseError(f"Not one grade cell for each check of the manifest: {', '.join(wrong)}.", where=str(path))


def _solved(source: str, dags: Mapping[str, str], path: Path) -> str:
    match = _WRITEFILE.match(source)
    if not match or not _REGION.search(source):
        raise CourseError(
            "A solution cell writes no file, or has no solution in it.",
            where=f"{path}: {source.partition(chr(10))[0]}",
            todo="Let it begin with %%writefile, and hold a solution between BEGIN SOLUTION and END SOLUTION.",
        )
    folder, _, name = match[1].rpartition("/")
    if folder != "dags":
        return _ROWS.sub(_practised, source)
    if name not in dags:
        raise CourseError(
            f"No chapter writes dags/{name}.", where=str(path), todo=f"Let the cell write one of {sorted(dags)}."
        )
    return f"%%writefile dags/{name}\n{BEGIN}{dags[name]}{END}"


def _practised(row: re.Match[str]) -> str:
    rows = f"{_reference_rows()[row[1]]:,}"
    return f"| {row[1]} | {rows} | {rows} |"


@functools.cache
def _reference_rows() -> Mapping[str, int]:
    return practice_rows(REFERENCE)
