"""The main job, end to end: a chapter's notebook, its DAG, the backfill twice, and two graded submissions.

Contract: `main_job` runs everything on an Airflow, a Postgres and a source of its own, leaves the clone's files
as they are, and returns what it saw as one document (`runs`, `rerun_identical`, `grades`, `seconds`).
"""

import json
import shutil
from pathlib import Path
from typing import Any

from autograder.airflow_api import AirflowApi
from autograder.airflow_local import local as airflow_local
from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.chapter import execute
from autograder.console import Progress
from autograder.errors import CourseError
from autograder.grading import Grade, grade
from autograder.observe import history, scenarios, warehouse
from autograder.observe.evidence import observed
from autograder.observe.project import IGNORED, write_project
from autograder.paths import ASSIGNMENT, DBT_PROJECT, NOTEBOOKS, RELEASE, SOURCE

CHAPTER = NOTEBOOKS / "05_parameterized_runs_and_backfills.ipynb"
SUBMISSIONS = {
    "reference": SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb",
    "starter": RELEASE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb",
}


def main_job(*, data: Path | None = None, notebook: Path = CHAPTER) -> dict[str, Any]:
    """Run the week's pipeline and grade two submissions.

    Parameters
    ----------
    data
        A folder of real TLC files to read in place of generated months.
    notebook
        The chapter to run.

    Returns
    -------
    dict
        `runs`: for each month logical_date, run_type, state, raw_rows, fct_rows (each after the first backfill),
        raw_rows_again, fct_rows_again (after the second), source_rows and in_month_rows; `rerun_identical`;
        `grades`: for reference and starter score, max_score and tiers; `seconds`: for each step, and `total`.

    Raises
    ------
    CourseError
        When a part fails: what, where, and what to do.
    """
    progress = Progress()
    with Session.open() as session:
        with progress.step("postgres", "Starting Postgres"):
            shared = Shared.start(session)
        runs, identical = _chapter(progress, shared, data, notebook)
        grades = _grades(progress, shared)
    return {
        "runs": runs,
        "rerun_identical": identical,
        "grades": {
            student: {
                "score": one.score,
                "max_score": one.max_score,
                "tiers": {tier: {"score": score, "max_score": top} for tier, (score, top) in one.tiers.items()},
            }
            for student, one in grades.items()
        },
        "seconds": {**progress.seconds, "total": progress.total},
    }


def _chapter(
    progress: Progress, shared: Shared, data: Path | None, notebook: Path
) -> tuple[list[dict[str, Any]], bool]:
    folder = shared.session.folder
    project = folder / "project"
    shutil.copytree(DBT_PROJECT, project / "include" / "dbt_project", ignore=IGNORED)
    (project / "notebooks").mkdir()
    (project / "dags").mkdir()
    record = folder / "backfills.jsonl"
    with progress.step("airflow", "Starting the source and Airflow"):
        local = airflow_local.start(
            shared, project, student="default", seed=airflow_local.practice_seed("default"), data=data
        )
    with progress.step("notebook", f"Running {notebook.name} with papermill") as step:
        execute(
            shared.session,
            notebook,
            cwd=project / "notebooks",
            env={
                **local.notebook_environment,
                "COURSE_RECORD": str(record),
                "COURSE_EXERCISES": str(folder / "exercises.jsonl"),
            },
            parameters={"student": "default", "data": str(data or "")},
            told=step.told,
        )
    tables = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    if len(tables) != 2:
        raise CourseError(f"The notebook ran {len(tables)} backfills to their end, not 2.", where=str(notebook))
    with local.connect() as connection:
        last = warehouse.snapshot(connection, local.schema)
    wanted = history.of_backfill(list(airflow_local.MONTHS))
    states = history.runs(AirflowApi(local.airflow.url), scenarios.DAG_ID, wanted)
    local.stop()
    first, second = tables
    if second != last:
        raise CourseError("The notebook changed the warehouse after its second backfill.", where=str(notebook))

    def rows(snapshot: warehouse.Snapshot, table: str, month: str) -> int:
        return int((snapshot[table] or {"months": {}})["months"].get(month, 0))

    described = []
    for run in states:
        month = run["logical_date"][:7]
        facts = local.source.months[month]
        described.append(
            {
                **{key: run[key] for key in ("logical_date", "run_type", "state")},
                "raw_rows": rows(first, "raw_trips", month),
                "fct_rows": rows(first, "fct_trips", month),
                "raw_rows_again": rows(second, "raw_trips", month),
                "fct_rows_again": rows(second, "fct_trips", month),
                "source_rows": facts.rows,
                "in_month_rows": facts.in_month,
            }
        )
    return described, first == second


def _grades(progress: Progress, shared: Shared) -> dict[str, Grade]:
    """Run each submission now, so that its grade cells find the evidence on record, then grade all."""
    folder = shared.session.folder
    for student, submission in SUBMISSIONS.items():
        with progress.step(f"observe_{student}", f"Running the {student} submission on an Airflow") as step:
            observed(write_project(submission, folder / student), student, shared=shared, told=step.told)
    with progress.step("grade", "Grading both with nbgrader"):
        grades = grade(SUBMISSIONS, folder / "grading")
    if unchecked := [
        f"{check.id} of {one.student}" for one in grades.values() for check in one.checks if check.unchecked
    ]:
        raise CourseError(f"The checker could not check {', '.join(unchecked)}.", where=str(shared.session.logs))
    return grades
