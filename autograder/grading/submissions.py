"""What a class handed in, student by student, and the project that each one's work is.

Contract: `handed_in` finds who handed in what in a folder: nbgrader's `<student>/<assignment>/`, plain folders and
clones, or a file or archive for each student. `lay_out` makes of one of them the notebook as it should be and the
project folder that is run. It runs nothing, and never writes to what was handed in. What cannot be understood is
raised as a `CourseError` that says, for teacher and student, what to hand in; each repair is a note.
"""

import copy
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.grading.archives import ENDINGS
from autograder.grading.realign import Notebook, grade_id, read_notebook, realign, solutions, target
from autograder.grading.unpack import beginning, unpack
from autograder.manifest import DAG_FILE
from autograder.observe.project import write_project, written_files
from autograder.paths import ASSIGNMENT

HANDED_IN_AS_FILE = "# Handed in as a file: {name}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_file.*")
_TIMESTAMP = "timestamp.txt"


@dataclass(frozen=True)
class HandedIn:
    """One student's work as it lies there; `notes` tell of what its name needed."""

    student: str
    path: Path
    submitted: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LaidOut:
    """What is graded of a student's work: the project that is run, the notebook as it should be, and the notes."""

    project: Path
    notebook: Notebook
    notes: list[str] = field(default_factory=list)


def handed_in(folder: Path, assignment: str = ASSIGNMENT) -> list[HandedIn]:
    """Return what is in a folder of submissions, by student.

    Raises
    ------
    CourseError
        When there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise CourseError(
            "There is no folder of submissions here.",
            where=str(folder),
            todo="Name it: ./course grade --submissions DIR, with a folder, a notebook or an archive for each student.",
        )
    found: dict[str, HandedIn] = {}
    entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__"))]
    collected = any((path / assignment).is_dir() for path in entries)
    for path in entries:
        if collected and path.is_dir() and not (path / assignment).is_dir() and _only_folders(path):
            continue  # nbgrader's layout, and they handed in other assignments only
        raw = path.name if path.is_dir() else _stem(path.name)
        notes: list[str] = []
        if moodle := _MOODLE.fullmatch(raw):
            raw = f"{moodle['name']}_{moodle['number']}"
        student = re.sub(r"[^A-Za-z0-9_.-]+", "_", raw).lstrip("_.-") or "student"
        while student in found:
            student += "_again"
        if student != path.name and student != _stem(path.name):
            notes.append(f"{path.name} is graded under the name {student}.")
        inner = path / assignment
        work = inner if path.is_dir() and inner.is_dir() else path
        # Elsewhere than in nbgrader's layout such a file would be a student's own.
        submitted = _timestamp(inner) if work == inner else None
        found[student] = HandedIn(student, work, submitted, tuple(notes))
    if not found:
        raise CourseError("There is no submission in this folder.", where=str(folder), todo="Name another folder.")
    return list(found.values())


def _only_folders(path: Path) -> bool:
    inside = list(path.iterdir())
    return bool(inside) and all(one.is_dir() and one.name != "dags" for one in inside)


def _stem(name: str) -> str:
    for ending in (*ENDINGS, ".ipynb", ".py"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _timestamp(work: Path) -> str | None:
    try:
        return beginning(work / _TIMESTAMP, 100).decode().strip() or None
    except ValueError:
        return None


def lay_out(work: HandedIn, into: Path, release: Notebook, assignment: str = ASSIGNMENT) -> LaidOut:
    """Make the project and the notebook of one student's work.

    Parameters
    ----------
    work
        What was handed in.
    into
        A new folder of ours.
    release
        The release notebook, as `read_notebook` returns it.
    assignment
        The name of the assignment and of its notebook.

    Raises
    ------
    CourseError
        When there is nothing to grade in it, or nothing that can be understood (exit code 1).
    """
    copied = into / "handed-in"
    notes = [*work.notes, *unpack(work.path, copied)]
    # A notebook that is handed in by itself, or packed by itself, is called as the student is.
    names = [assignment, *([_stem(work.path.name)] if work.path.is_file() else [])]
    base, found = _work_in(copied, release, names, notes)
    project = into / "project"
    if found:
        notebook, told = read_notebook(found)
        notebook, repaired = realign(notebook, release)
        notes += [*told, *repaired]
    else:
        notebook = copy.deepcopy(release)
    for name, cell in solutions(release).items():
        answer = next(one for one in notebook["cells"] if grade_id(one) == name)
        path = target(cell)
        untouched = answer["source"].strip() in ("", cell["source"].strip())
        if path and untouched and (base / path).is_file():
            answer["source"] = HANDED_IN_AS_FILE.format(name=path)
            if found:
                notes.append(f"The cell {name} was empty; {path}, which was handed in beside the notebook, counts.")
    aligned = into / f"{assignment}.ipynb"
    aligned.write_text(json.dumps(notebook), encoding="utf-8")
    _overlay(aligned, base)
    if not (base / "dags").is_dir():
        (base / "dags").unlink(missing_ok=True)
        (base / "dags").mkdir()
    write_project(base, project)
    return LaidOut(project, notebook, notes)


def _overlay(notebook: Path, base: Path) -> None:
    """Write what the notebook's cells write over the files beside it, as running it would; they are our copy."""
    for path, body in written_files(notebook):
        try:
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).write_text(body, encoding="utf-8", newline="")
        except (OSError, ValueError) as error:
            raise CourseError(
                f"What a %%writefile cell writes cannot be written: {error}.",
                where=str(path),
                todo=f"Write to a path such as {DAG_FILE}.",
                exit_code=1,
            ) from error


def _work_in(copied: Path, release: Notebook, names: Sequence[str], notes: list[str]) -> tuple[Path, Path | None]:
    """Return the folder of the work, and the notebook in it if there is one; `names` are its own, the first before."""
    assignment = names[0]
    files = sorted((path for path in copied.rglob("*") if path.is_file()), key=lambda path: (len(path.parts), path))
    notebooks = [path for path in files if path.suffix.lower() == ".ipynb"]
    named = [path for name in names for path in notebooks if path.stem == name]
    projects = [path.parent for path in files if path.parent.name == "dags" and path.suffix == ".py"]
    exact = named[0] if named else None
    if exact is None and (best := _most_alike(notebooks, release)):
        exact = best
        notes.append(f"The notebook is called {best.name}; it was taken for {assignment}.ipynb.")
    if exact and not projects:
        return exact.parent, exact
    if projects:
        base = projects[0].parent
        if base != copied:
            notes.append(f"The project was found in {base.relative_to(copied)}/.")
        beside = exact if exact and exact.parent == base else None
        if exact and not beside and len(exact.parent.parts) <= len(base.parts):
            beside = exact
        return base, beside
    alone = [path for path in files if path.name == Path(DAG_FILE).name]
    if alone:
        notes.append(f"{alone[0].relative_to(copied)} was taken for {DAG_FILE}.")
        base = alone[0].parent
        (base / DAG_FILE).parent.mkdir(exist_ok=True)
        shutil.move(alone[0], base / DAG_FILE)
        return base, None
    raise CourseError(
        f"There is neither {assignment}.ipynb nor {DAG_FILE} in it. {_listed(files, copied)}",
        todo=f"Hand in {assignment}.ipynb, or a project with {DAG_FILE}.",
        exit_code=1,
    )


def _most_alike(notebooks: Sequence[Path], release: Notebook) -> Path | None:
    """Return the notebook that has the most of our cells, or that writes the DAG file."""
    ours = {grade_id(cell) for cell in release["cells"]} - {None}
    best: tuple[int, Path | None] = (0, None)
    for path in notebooks:
        try:
            cells: list[dict[str, Any]] = read_notebook(path)[0]["cells"]
        except CourseError:
            if len(notebooks) == 1:
                raise
            continue
        alike = len({grade_id(cell) for cell in cells} & ours) + sum(target(cell) == DAG_FILE for cell in cells)
        if alike > best[0]:
            best = (alike, path)
    return best[1]


def _listed(files: Sequence[Path], folder: Path) -> str:
    if not files:
        return "It is empty."
    names = [str(path.relative_to(folder)) for path in files[:5]]
    return f"There is: {', '.join(names)}{' …' if len(files) > len(names) else ''}."
