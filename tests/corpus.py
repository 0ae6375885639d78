"""The submissions that the grader is graded by: right ones in many styles, and wrong ones that are small edits.

Contract: `SUBMISSIONS` holds every one by its name. A right one (`submissions/alternates/`) is a DAG file or a
project folder; it has the reference's runbook and report, and the tests in `_shared/`, where it brings none. A wrong
one (`submissions/mutants/NAME.yaml`) is an edit of the reference, or of an alternate:

- `why`: what is wrong, in a sentence;
- `loses`: the checks that it loses, each with a part of the cause that must be recognised, or null; those that build
  on them wait;
- `of`: what it is an edit of, "reference" unless given;
- `edit`: for each file, pairs of `old` and `new`; an `old` that does not occur exactly once is an error;
- `files`: files written anew; `remove`: files taken away.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from autograder.grading.realign import Notebook, read_notebook, solutions, target
from autograder.observe.project import IGNORED, write_project, written_files
from autograder.paths import ASSIGNMENT, DBT_PROJECT, RELEASE, ROOT, SOURCE

STUDENT = "reference"
"""Whose all are: the row counts in the reference's report are those of this student's months."""

FOLDER = ROOT / "tests" / "submissions"
DAG_FILE = "dags/taxi_pipeline.py"
DBT = "include/dbt_project"
KEYS = {"why", "loses", "of", "edit", "files", "remove"}

Files = dict[str, bytes]
"""A project's content: each file's path in it, with its bytes."""


@dataclass(frozen=True)
class Submission:
    """One submission.

    Parameters
    ----------
    name
        Of its file or folder.
    path
        Where that is.
    loses
        The checks that it loses, with a part of the cause that must be told, or None; empty for a right one.
    why
        What is wrong with it.
    """

    name: str
    path: Path
    loses: dict[str, str | None] = field(default_factory=dict)
    why: str = ""

    def files(self) -> Files:
        """Return what is handed in.

        Raises
        ------
        ValueError
            When an edit does not fit what it is an edit of.
        """
        if self.path.suffix == ".yaml":
            return _edited(self.path)
        if self.path.suffix == ".ipynb":
            return {path.as_posix(): text.encode() for path, text in written_files(self.path)}
        own = _read(self.path) if self.path.is_dir() else {DAG_FILE: self.path.read_bytes()}
        inherited = {path: text for path, text in REFERENCE.files().items() if path.endswith(".md")}
        return {**inherited, **_read(FOLDER / "alternates" / "_shared"), **own}

    def notebook(self) -> Notebook:
        """Return the same as a notebook: the released one, with what is handed in written by its cells."""
        notebook, _ = read_notebook(RELEASE / NOTEBOOK)
        files = self.files()
        cells = {path: cell for cell in solutions(notebook).values() if (path := target(cell))}
        for path, content in files.items():
            source = f"%%writefile {path}\n{content.decode()}"
            if path in cells:
                cells[path]["source"] = source
            else:
                notebook["cells"].append({"cell_type": "code", "id": f"file-{len(notebook['cells'])}", "metadata": {},
                                          "source": source, "outputs": [], "execution_count": None})  # fmt: skip
        return notebook

    def runs_as_the_reference(self) -> bool:
        """Return whether it differs from the reference in nothing that a run depends on."""
        mine, its = self.files(), REFERENCE.files()
        changed = {path for path in mine.keys() | its.keys() if mine.get(path) != its.get(path)}
        return not any(path.startswith(("dags/", "include/")) for path in changed)

    def digest(self) -> str:
        """Return a name for what is handed in; equal contents have equal names."""
        content = hashlib.sha256()
        for path, text in sorted(self.files().items()):
            content.update(f"{path}\0{len(text)}\0".encode())
            content.update(text)
        return content.hexdigest()[:32]

    def write(self, into: Path) -> Path:
        """Write the project that is run into an empty folder, and return it."""
        handed_in = into / "handed-in"
        for path, content in self.files().items():
            (handed_in / path).parent.mkdir(parents=True, exist_ok=True)
            (handed_in / path).write_bytes(content)
        (handed_in / "dags").mkdir(parents=True, exist_ok=True)
        return write_project(handed_in, into / "project")


def _read(folder: Path) -> Files:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if not any(IGNORED("", [part]) for part in path.relative_to(folder).parts)
    }


def _edited(path: Path) -> Files:
    mutant = _mutant(path)
    files = SUBMISSIONS[mutant.get("of", REFERENCE.name)].files()
    named = [*mutant.get("edit", {}), *mutant.get("files", {}), *mutant.get("remove", [])]
    if any(one.startswith(DBT) for one in named) and not any(one.startswith(DBT) for one in files):
        files |= {f"{DBT}/{one}": content for one, content in _read(DBT_PROJECT).items()}
    for name in mutant.get("remove", []):
        if name not in files:
            raise ValueError(f"{path.name}: there is no {name} to remove")
        del files[name]
    for name, edits in mutant.get("edit", {}).items():
        text = files[name].decode()
        for edit in edits:
            if (times := text.count(edit["old"])) != 1:
                raise ValueError(f"{path.name}: {times} times in {name}:\n{edit['old']}")
            text = text.replace(edit["old"], edit["new"])
        files[name] = text.encode()
    return files | {name: text.encode() for name, text in mutant.get("files", {}).items()}


def _mutant(path: Path) -> dict[str, Any]:
    mutant: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if unknown := mutant.keys() - KEYS or {"why", "loses"} - mutant.keys():
        raise ValueError(f"{path.name}: unknown or missing: {', '.join(sorted(unknown))}")
    return mutant


NOTEBOOK = f"{ASSIGNMENT}/{ASSIGNMENT}.ipynb"
REFERENCE = Submission("reference", SOURCE / NOTEBOOK)
STARTER = Submission(
    "starter",
    RELEASE / NOTEBOOK,
    {"minimum.dag-loads": "not written yet", "target.report": "Put the lines in place of"},
    "Nothing is written.",
)
ALTERNATES = {
    path.stem: Submission(path.stem, path)
    for path in sorted((FOLDER / "alternates").iterdir())
    if not path.name.startswith("_")
}
MUTANTS = {
    path.stem: Submission(path.stem, path, mutant["loses"], mutant["why"])
    for path in sorted((FOLDER / "mutants").iterdir())
    for mutant in [_mutant(path)]
}
SUBMISSIONS = {one.name: one for one in (REFERENCE, STARTER)} | ALTERNATES | MUTANTS
