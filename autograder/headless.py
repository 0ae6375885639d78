"""Run chapter notebooks from top to bottom, as CI does.

Contract: each notebook runs with papermill on an Airflow of its own, in a copy of the clone's project, as it is
committed; after its last cell come the solutions of its exercises, each followed by the cell that checks it. A
notebook fails when a cell raises, when a starter passes its check, when a solution does not, or when a DAG file is
left that the clone does not have. The executed notebooks stay in the session's logs.
"""

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from autograder import exercises
from autograder.airflow_local import local as airflow_local
from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.chapter import execute
from autograder.console import Progress
from autograder.errors import CourseError
from autograder.manifest import Chapter, load
from autograder.observe.project import IGNORED
from autograder.paths import DAGS, DBT_PROJECT, EXERCISES, ROOT
from autograder.teaching.exercises import NOT_YET, PASSED

CELL_LIMIT = 120
"""Seconds that one cell may take where commands are warm."""

COLD_CELL_LIMIT = 900
"""Seconds that one cell may take where each command is a process of its own, as on macOS."""


@dataclass(frozen=True)
class Result:
    """How a notebook did: `error` is empty when all went as it should; `exercises` counts those checked."""

    chapter: str
    error: str
    exercises: int
    seconds: float
    executed: str


def run_notebooks(
    names: Sequence[str], *, student: str = "default", data: Path | None = None, jobs: int = 2
) -> list[Result]:
    """Run notebooks.

    Parameters
    ----------
    names
        Ids of chapters; all chapters that have a notebook when empty.
    student
        Whose schema they write to.
    data
        A folder of real TLC files to serve in place of generated ones.
    jobs
        How many run at a time.

    Raises
    ------
    CourseError
        When there is no such chapter, or no Airflow can be started.
    """
    chapters = _chosen(names)
    progress = Progress()
    with Session.open() as session:
        with progress.step("postgres", "Starting Postgres"):
            shared = Shared.start(session)
        with progress.step("notebooks", f"Running {len(chapters)} notebooks, {jobs} at a time") as step:
            told = _locked(step.told)
            with ThreadPoolExecutor(jobs) as pool:
                running = [pool.submit(_run, shared, chapter, student, data, told) for chapter in chapters]
                return [one.result() for one in running]


def _chosen(names: Sequence[str]) -> list[Chapter]:
    there = [chapter for chapter in load().chapters if (ROOT / chapter.file).is_file()]
    if unknown := set(names) - {chapter.id for chapter in there}:
        raise CourseError(
            f"There is no notebook of chapter {', '.join(sorted(unknown))}.",
            todo=f"Use some of: {', '.join(chapter.id for chapter in there)}.",
        )
    return [chapter for chapter in there if not names or chapter.id in names]


def _locked(tell: Callable[[str], None]) -> Callable[[str], None]:
    lock = threading.Lock()

    def told(line: str) -> None:
        with lock:
            tell(line)

    return told


def _run(shared: Shared, chapter: Chapter, student: str, data: Path | None, told: Callable[[str], None]) -> Result:
    name, begun = f"chapter-{chapter.id}", time.monotonic()
    folder = shared.session.folder / name
    committed = ROOT / chapter.file
    executed = shared.session.logs / committed.name
    record = folder / "exercises.jsonl"
    error = ""
    try:
        project = _project(folder / "project")
        notebook = folder / committed.name
        notebook.write_text(nbformat.writes(with_solutions(nbformat.read(committed, 4), _exercises(chapter.id))))
        with _airflow(shared, project, name, student, data) as environment:
            execute(
                shared.session,
                notebook,
                cwd=project / "notebooks",
                env={**environment, "COURSE_EXERCISES": str(record)},
                parameters={"student": student, "data": str(data or "")},
                cell_limit=CELL_LIMIT if shared.commands.parents else COLD_CELL_LIMIT,
            )
        error = "\n".join([*wrong_results(_exercises(chapter.id), _lines(record)), *_strays(project, chapter.id)])
    except CourseError as failure:
        error = str(failure)
    seconds = round(time.monotonic() - begun, 1)
    told(f"{chapter.id} {'failed' if error else 'ran'} in {seconds} s")
    return Result(chapter.id, error, len({line["id"] for line in _lines(record)}), seconds, str(executed))


@contextlib.contextmanager
def _airflow(shared: Shared, project: Path, name: str, student: str, data: Path | None) -> Iterator[dict[str, str]]:
    local = airflow_local.start(
        shared, project, student=student, seed=airflow_local.practice_seed(student), name=name, data=data
    )
    try:
        yield local.notebook_environment
    finally:
        local.stop()


def _project(project: Path) -> Path:
    """Copy what notebooks find beside them in a clone."""
    shutil.copytree(DAGS, project / "dags", ignore=IGNORED)
    shutil.copytree(DBT_PROJECT, project / "include" / "dbt_project", ignore=IGNORED)
    (project / "notebooks").mkdir()
    return project


def _exercises(chapter: str) -> tuple[exercises.Exercise, ...]:
    return exercises.load(chapter) if (EXERCISES / f"{chapter}.yaml").is_file() else ()


def with_solutions(notebook: Any, of_chapter: Sequence[exercises.Exercise]) -> Any:  # noqa: ANN401  nbformat's
    """Return a notebook with each exercise's solution at its end, followed by the cell that checks it.

    Raises
    ------
    CourseError
        When not exactly one cell checks an exercise.
    """
    for one in of_chapter:
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and asks_for(cell.source, one.id)]
        if len(cells) != 1:
            raise CourseError(
                f"{len(cells)} cells check exercise {one.id}, not one.",
                todo=f'Write exercise("{one.id}", …) in one cell.',
            )
        for text in (*one.solution, cells[0].source):
            notebook.cells.append(nbformat.v4.new_code_cell(text))
    return notebook


def asks_for(source: str, exercise_id: str) -> bool:
    """Return whether a cell checks an exercise."""
    return re.search(rf'^exercise\("{re.escape(exercise_id)}"', source, re.MULTILINE) is not None


def wrong_results(of_chapter: Sequence[exercises.Exercise], lines: Sequence[dict[str, str]]) -> list[str]:
    """Return what is wrong about the results: a starter must be not yet there, and a solution pass."""
    wrong = []
    for one in of_chapter:
        found = [line for line in lines if line["id"] == one.id]
        for wanted, what, line in zip((NOT_YET, PASSED), ("starter", "solution"), found, strict=False):
            if line["outcome"] != wanted:
                wrong.append(
                    f"The {what} of exercise {one.id} gave {line['outcome']!r}, not {wanted!r}: {line['said']}"
                )
        if len(found) != 2:
            wrong.append(f"Exercise {one.id} was checked {len(found)} times, not twice.")
    return wrong


def _lines(record: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def _strays(project: Path, chapter: str) -> list[str]:
    known = {path.name for path in DAGS.glob("*.py")}
    solved = "\n".join(cell for one in _exercises(chapter) for cell in one.solution)
    return [
        f"dags/{path.name} is left by the notebook. Remove it at the end of the demonstration."
        for path in sorted((project / "dags").glob("*.py"))
        if path.name not in known and f"dags/{path.name}" not in solved
    ]
