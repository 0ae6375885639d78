"""Ask for a submission's evidence from a process that must not run Airflow itself: a notebook's kernel.

Contract: `evidence_for()` runs `python -m autograder observe` in a process of its own, shows none of its
output, and returns the evidence. When it cannot, a `CourseError` says why.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from autograder import child
from autograder.errors import CourseError
from autograder.paths import ROOT

Extent = Literal["parse", "visible", "all"]
"""How much is played: the DAG is only read; what a student's own check needs; what a grade needs."""

OBSERVE = (sys.executable, "-m", "autograder", "observe")

LIMIT_S = 840
"""Seconds that an observation may take: less than nbgrader_config.py gives a graded cell."""


def evidence_for(
    project: Path,
    student: str,
    extent: Extent = "all",
    *,
    command: Sequence[str] = OBSERVE,
    limit_s: float = LIMIT_S,
) -> dict[str, Any]:
    """Return what happened when a submission was run; it is run now unless that is on record.

    Parameters
    ----------
    project
        The folder that holds dags/.
    student
        Whose it is; names the schema that it writes to.
    extent
        How much is played.
    command
        The program that observes, without its arguments.
    limit_s
        Seconds that it may take.

    Raises
    ------
    CourseError
        When the observation failed or took too long. That is never the student's fault: a pipeline that fails
        is evidence too.
    """
    with tempfile.TemporaryDirectory(prefix="course-evidence-") as folder:
        evidence, output = Path(folder) / "evidence.json", Path(folder) / "output.txt"
        arguments = [str(project.resolve()), "--student", student, "--extent", extent, "-o", str(evidence)]
        try:
            # In our folder: `-m` looks in the working folder first, and that is not to be the student's.
            code = child.run([*command, *arguments], cwd=ROOT, output=output, limit_s=limit_s)
        except subprocess.TimeoutExpired as error:
            raise CourseError(f"Running the pipeline took longer than {limit_s:.0f} seconds.") from error
        if code:
            raise CourseError(f"The pipeline could not be run and looked at:\n{child.tail(output)}")
        document: dict[str, Any] = json.loads(evidence.read_bytes())
        return document
