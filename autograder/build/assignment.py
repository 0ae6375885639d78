"""The teacher's assignment notebook, completed from where its facts stand.

Contract: a solution region under `%%writefile dags/NAME.py` holds the reference DAG that a chapter writes; a
grade cell asks for one check of the manifest, is named after it and has its points; every check has one
grade cell.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from autograder.build.notebooks import Notebook
from autograder.errors import CourseError
from autograder.manifest import Course

BEGIN, END = "### BEGIN SOLUTION\n", "### END SOLUTION"

_SOLUTION = re.compile(rf"%%writefile dags/(\w+\.py)\n{BEGIN}.*{END}", re.DOTALL)
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
    match = _SOLUTION.fullmatch(source)
    if not match or match[1] not in dags:
        raise CourseError(
            "A solution cell is not filled from a DAG file.",
            where=f"{path}: {source.partition(chr(10))[0]}",
            todo=f"Let it be %%writefile dags/NAME.py, {BEGIN.strip()}, {END}, with one of {sorted(dags)}.",
        )
    return f"%%writefile dags/{match[1]}\n{BEGIN}{dags[match[1]]}{END}"
