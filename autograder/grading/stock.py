"""The process that runs stock nbgrader: `python -m autograder.grading.stock ASSIGNMENT [STUDENT …]`.

Contract: in a course folder (its working folder), make the release version of an assignment, or, with
students' names, autograde each one's submission and make the feedback for it. nbgrader's own converters,
configured by the clone's nbgrader_config.py, do all of it. Writes grading.json: each step with its log, and
each student's grades as the gradebook has them. nbgrader changes the working folder and takes seconds to
import; hence a process of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config, PyFileConfigLoader

from autograder.paths import ROOT

CONFIG = ROOT / "nbgrader_config.py"
RESULT = "grading.json"
LOGS = "logs"


def main(assignment: str, students: list[str]) -> None:
    """Run the steps and write their results."""
    Path(LOGS).mkdir(exist_ok=True)
    api = NbGraderAPI(config=_config())
    steps: list[dict[str, Any]] = []

    def step(name: str, student: str | None, outcome: dict[str, Any]) -> bool:
        log = Path(LOGS) / f"{name if student is None else f'{student}-{name}'}.log"
        log.write_text(outcome.get("log", "") + outcome.get("error", ""), encoding="utf-8")
        steps.append({"step": name, "student": student, "success": outcome["success"], "log": str(log)})
        return bool(outcome["success"])

    if not students:
        step("generate_assignment", None, api.generate_assignment(assignment))
    grades = {}
    for student in students:
        if step("autograde", student, api.autograde(assignment, student)):
            step("generate_feedback", student, api.generate_feedback(assignment, student))
            grades[student] = _grades(api, assignment, student)
    Path(RESULT).write_text(json.dumps({"steps": steps, "grades": grades}, indent=1), encoding="utf-8")


def _config() -> Config:
    config = PyFileConfigLoader(CONFIG.name, str(CONFIG.parent)).load_config()
    # The exchange moves files between accounts; grading a folder has no use for it.
    config.Exchange.root = str(Path.cwd() / "exchange")
    return config


def _grades(api: NbGraderAPI, assignment: str, student: str) -> list[dict[str, Any]]:
    with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
        submission = gradebook.find_submission(assignment, student)
        return [
            {
                "grade_id": grade.name,
                "score": grade.score,
                "max_score": grade.max_score,
                "needs_manual_grade": grade.needs_manual_grade,
            }
            for notebook in submission.notebooks
            for grade in notebook.grades
        ]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
