"""An nbgrader course in a folder: made, filled with submissions, and run.

Contract: the folder has nbgrader's own layout (source/, release/, submitted/, autograded/, feedback/,
gradebook.db) beside logs/, and can be opened in formgrader afterwards. What nbgrader reports as failed is
raised as a `CourseError` that names its log.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import nbformat

from autograder import child
from autograder.airflow_local.session import Session
from autograder.errors import CourseError
from autograder.observe.project import FOLDERS, TEXTS
from autograder.paths import ROOT

HANDED_IN_AS_FILES = "# This submission was handed in as files: see dags/ beside this notebook."


class Row(TypedDict):
    """A graded cell in the gradebook."""

    grade_id: str
    score: float
    max_score: float
    needs_manual_grade: bool


@dataclass(frozen=True)
class CourseFolder:
    """A course folder and the name of its one assignment."""

    folder: Path
    assignment: str

    @classmethod
    def make(cls, folder: Path, source: Path) -> "CourseFolder":
        """Make a course in an empty folder from an assignment's source folder, and its release version."""
        made = cls(folder, source.name)
        shutil.copytree(source, folder / "source" / source.name)
        made.run()
        return made

    @property
    def release(self) -> Path:
        """The folder of the assignment's release version."""
        return self.folder / "release" / self.assignment

    def feedback(self, student: str) -> Path:
        """Return nbgrader's feedback on a student's notebook, an HTML page."""
        return self.folder / "feedback" / student / self.assignment / f"{self.assignment}.html"

    def submit(self, student: str, submission: Path) -> None:
        """Lay a submission where nbgrader looks for it.

        Parameters
        ----------
        student
            Who hands it in.
        submission
            A notebook, a folder with the assignment's notebook, or a project folder: one that holds dags/.

        Raises
        ------
        CourseError
            When it is none of these.
        """
        handed_in = self.folder / "submitted" / student / self.assignment
        notebook = f"{self.assignment}.ipynb"
        handed_in.mkdir(parents=True)
        if submission.is_file():
            shutil.copyfile(submission, handed_in / notebook)
        elif (submission / notebook).is_file():
            shutil.copytree(submission, handed_in, dirs_exist_ok=True, symlinks=True)
        elif (submission / "dags").is_dir():
            for part in FOLDERS:
                if (submission / part).is_dir():
                    shutil.copytree(submission / part, handed_in / part, symlinks=True)
            for part in TEXTS:
                if (submission / part).is_file():
                    shutil.copyfile(submission / part, handed_in / part)
            _empty_solutions(self.release / notebook, handed_in / notebook)
        else:
            raise CourseError(
                f"{student} handed in neither {notebook} nor a folder dags/.",
                where=str(submission),
                todo="Ask for the notebook, or for a project folder in Astro's layout.",
                exit_code=1,
            )

    def run(self, students: Sequence[str] = ()) -> dict[str, list[Row]]:
        """Run nbgrader: make the release version or, with students' names, grade their submissions.

        Returns
        -------
        dict
            Each student's rows of the gradebook.
        """
        log = self.folder / "nbgrader.log"
        result = self.folder / "grading.json"
        result.unlink(missing_ok=True)
        with Session.open() as session:  # ends nbgrader and its kernels, and takes what they leave in TMPDIR
            code = child.run(
                [sys.executable, "-m", "autograder.grading.stock", self.assignment, *students],
                cwd=self.folder,
                output=log,
                env=session.environment(_environment(session.folder)),
            )
        if code or not result.is_file():
            raise CourseError(f"nbgrader stopped:\n{child.tail(log)}", where=str(log))
        told = json.loads(result.read_text(encoding="utf-8"))
        if failed := [step for step in told["steps"] if not step["success"]]:
            who = ", ".join(f"{step['step']} of {step['student'] or self.assignment}" for step in failed)
            log = self.folder / failed[0]["log"]
            raise CourseError(f"nbgrader failed: {who}. {_reason(log)}", where=str(log))
        grades: dict[str, list[Row]] = told["grades"]
        return grades


def _reason(log: Path) -> str:
    """Return the first error that a log of nbgrader tells; those after it only pass it on."""
    error = re.search(r"^ *((?:\w+\.)*\w*(?:Error|Exception): .*)", log.read_text(encoding="utf-8"), re.MULTILINE)
    return error[1] if error else child.tail(log)


def programs() -> str:
    """Return a PATH on which nbgrader finds alembic, which it calls to make a gradebook."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def _environment(own: Path) -> dict[str, str]:
    """Return the environment for nbgrader and the kernels that it starts, which may write in the folder `own`."""
    return {"PATH": programs(), "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(own / "ipython")}


def _empty_solutions(release: Path, into: Path) -> None:
    """Write the release notebook with solution cells that leave the files beside it alone."""
    notebook = nbformat.read(release, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = HANDED_IN_AS_FILES
    nbformat.write(notebook, into)
