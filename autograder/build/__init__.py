"""Everything in the clone that is made from something else in it.

Contract: `build()` makes, each from the authored text only, never from a file that it made itself:

- dags/*.py, from the chapters' `%%writefile` cells;
- each .ipynb in notebooks/ and source/, from the text twin beside it;
- in the assignment's text twin: solutions, from those DAG files, and points, from course.yaml;
- release/, from the assignment, by stock nbgrader;
- the tables of points in README.md and docs/.

Building twice changes nothing, and a build that is stopped leaves every file whole.
"""

from collections.abc import Iterator
from pathlib import Path

from autograder.build import assignment, notebooks, tables
from autograder.build.dags import dag_files
from autograder.build.release import release_files
from autograder.errors import CourseError
from autograder.manifest import Course, load
from autograder.paths import ROOT

MEND = "./course build"


def build(check: bool = False, root: Path = ROOT) -> list[str]:
    """Make the derived files, or say which differ.

    Parameters
    ----------
    check
        Write nothing.
    root
        The clone.

    Returns
    -------
    list of str
        A line for each file that was written or, with `check`, that differs, with the command that mends it.

    Raises
    ------
    CourseError
        When something to build from is wrong, or a file cannot be written.
    """
    course = load(root / "course.yaml")
    made = derive(root, course)
    differing = [path for path, content in made.items() if not _holds(path, content)]
    strays = [path for path in _built(root, course) if path not in made]
    if check:
        lines = [f"{_name(path, root)} differs from what it is made from. Run: {MEND}" for path in differing]
    else:
        for path in differing:
            _write(path, made[path])
        lines = [f"{_name(path, root)} written" for path in differing]
    return lines + [
        f"{_name(path, root)} is made from nothing here: delete it, or write what it is made from." for path in strays
    ]


def derive(root: Path, course: Course) -> dict[Path, bytes]:
    """Return the content of every derived file of a clone."""
    made: dict[Path, bytes] = {}
    chapters = {}
    for path in sorted((root / "notebooks").glob("*.md")):
        chapters[path] = notebooks.parse(path.read_text(encoding="utf-8"), path)
        made[path.with_suffix(".ipynb")] = notebooks.to_ipynb(chapters[path], path)

    dags = dag_files(chapters)
    made |= {root / "dags" / name: text.encode() for name, text in dags.items()}

    twin = root / "source" / course.assignment / f"{course.assignment}.md"
    text = tables.fill(twin.read_text(encoding="utf-8"), course)
    notebook = notebooks.parse(text, twin)
    assignment.complete(notebook, dags, course, twin)
    made[twin] = notebooks.to_text(notebook, text).encode()
    made[twin.with_suffix(".ipynb")] = source = notebooks.to_ipynb(notebook, twin)

    release = root / "release" / course.assignment
    made |= {release / name: content for name, content in release_files(course.assignment, source).items()}

    for page in [*root.glob("README.md"), *sorted((root / "docs").glob("*.md"))]:
        made[page] = tables.fill(page.read_text(encoding="utf-8"), course).encode()
    return made


def _built(root: Path, course: Course) -> Iterator[Path]:
    """Yield the files in places where all files are made by the build."""
    yield from sorted((root / "dags").glob("*.py"))
    yield from sorted((root / "notebooks").glob("*.ipynb"))
    release = root / "release" / course.assignment
    yield from sorted(path for path in release.rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise CourseError(f"A file cannot be written: {error.strerror}.", where=str(path)) from error
    finally:
        beside.unlink(missing_ok=True)
