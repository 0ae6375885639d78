"""A course of two checks whose evidence is ready-made, to try stock nbgrader with.

The evidence of a submission is the JSON in its dags/dag.py: which checks pass. A program of its own reads it, as
the real observation is one, makes noise on both streams, and notes in observed.txt that it was called.
"""

import functools
import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

from autograder.cells import Checks
from autograder.checks.verdict import Verdict
from autograder.manifest import Chapter, Check, Course, Tier
from autograder.observe.client import evidence_for

ASSIGNMENT = "orchestrated_pipeline"

_CHAPTER = Chapter("05", "notebooks/05_backfills.ipynb", "Backfills", 60)
COURSE = Course(
    "A course",
    ASSIGNMENT,
    (_CHAPTER,),
    (Tier("minimum", "Minimum"), Tier("target", "Target")),
    (
        Check("minimum.loads", "minimum", 2, "It loads.", "The file.", _CHAPTER, ("a", "b", "c")),
        Check(
            "target.rows", "target", 3, "The rows are right.", "The table.", _CHAPTER, ("a", "b", "c"), visible=False
        ),
    ),
)

SET_UP = "from pathlib import Path\nfrom tests.integration.tiny_course import check\nPath('dags').mkdir(exist_ok=True)"
ANSWER = "%%writefile dags/dag.py\n"


def judge(evidence: dict[str, Any]) -> Sequence[Verdict]:
    """Pass the checks that the evidence names."""
    return [
        Verdict(one.id, one.points, one.points, "pass", "", "", None, "")
        if one.id in evidence["passed"]
        else Verdict(one.id, one.points, 0, "not_yet", "a pass", "none", None, "")
        for one in COURSE.checks
    ]


check = Checks(functools.partial(evidence_for, command=(sys.executable, __file__)), judge, COURSE).check


def write_source(folder: Path) -> Path:
    """Write the assignment's source folder, with what a teacher may have left there, and return it."""
    solution = (
        f"{ANSWER}### BEGIN SOLUTION\n{json.dumps({'passed': ['minimum.loads', 'target.rows']})}\n### END SOLUTION"
    )
    cells = [_cell(SET_UP, "set-up", locked=True), _cell(solution, "dag", solution=True)]
    cells += [_cell(f'check("{one.id}")', one.grade_id, locked=True, points=one.points) for one in COURSE.checks]
    source = folder / ASSIGNMENT
    (source / "dags").mkdir(parents=True)
    (source / "dags" / "dag.py").write_text("the teacher ran the notebook here")
    (source / f"{ASSIGNMENT}.md").write_text("the text twin")
    nbformat.write(_notebook(cells), source / f"{ASSIGNMENT}.ipynb")
    return source


def _cell(source: str, name: str, *, locked: bool = False, solution: bool = False, points: int = 0) -> Any:
    role = {"grade": points > 0, "grade_id": name, "locked": locked, "schema_version": 3, "solution": solution}
    role |= {"task": False} | ({"points": points} if points else {})
    cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": role})
    cell["id"] = name
    return cell


def _notebook(cells: list[Any]) -> Any:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _observe() -> None:
    parser = ArgumentParser()
    parser.add_argument("project", type=Path)
    parser.add_argument("--student")
    parser.add_argument("--extent")
    parser.add_argument("-o", type=Path)
    told = parser.parse_args()
    print("noise")
    print("DeprecationWarning: noise", file=sys.stderr)
    with (told.project / "observed.txt").open("a") as note:
        note.write(f"{told.student}\n")
    try:
        lines = (told.project / "dags" / "dag.py").read_text().splitlines()
        evidence = json.loads("".join(line for line in lines if not line.startswith("#")))
    except ValueError:
        evidence = {"passed": []}
    if evidence.get("broken"):
        sys.exit("Postgres did not start.")
    told.o.write_text(json.dumps(evidence))


if __name__ == "__main__":
    _observe()
