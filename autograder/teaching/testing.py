"""Try tests out on versions of a DAG file with a mistake in each, and see whether they find it.

Contract: each version stands alone in the DAGs folder of a copy, beside the project's include/, and `pytest` runs on
it as in a terminal. The DAG file itself and the tests are not touched.
"""

import os
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import CourseError
from autograder.teaching.shown import Shown, colour, table

LIMIT = 60.0
"""Seconds that the tests may take on one version."""

AS_IT_IS = "as it is"
"""What the file without a mistake is called in a table."""


@dataclass(frozen=True)
class Outcome:
    """How tests ended: pytest's exit `code` (None where it took too long), the names of those that did not pass."""

    code: int | None
    run: int
    failed: tuple[str, ...]
    output: str

    @property
    def word(self) -> str:
        """How they ended, in a few words."""
        if self.failed:
            return f"{len(self.failed)} of {self.run} fail"
        return "all pass" if self.code == 0 else "could not run"


def try_bugs(tests: Sequence[str], file: str, bugs: Mapping[str, tuple[str, str]]) -> Shown:
    """Run tests on a DAG file as it is, and on a copy of it with each bug; show which tests noticed.

    Parameters
    ----------
    tests
        Files with tests, seen from the notebook.
    file
        The DAG file's name in dags/.
    bugs
        For each bug's name a text of the file, and what stands in its place.

    Raises
    ------
    CourseError
        When the file does not have one of the texts.
    """
    source = dag_source(file)
    versions = {AS_IT_IS: source} | {name: seeded(source, *bug) for name, bug in bugs.items()}
    rows, colours, found = [], {}, 0
    for number, (name, one) in enumerate(outcomes(tests, file, versions)):
        noticed = one.code != 0
        found += noticed and name != AS_IT_IS
        wanted = noticed != (name == AS_IT_IS)
        colours[number, 1] = colour("success" if wanted else "failed")
        rows.append([name, f"{'✔' if wanted else '✘'} {one.word}", "\n".join(one.failed) or None])
    caption = f"Tests of {file}: {found} of {len(bugs)} bugs were found."
    return table(["version of the file", "tests", "those that fail"], rows, caption, colours)


def dag_source(file: str) -> str:
    """Return the text of a file in dags/.

    Raises
    ------
    CourseError
        When there is none.
    """
    path = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / file
    if not path.is_file():
        raise CourseError(f"There is no dags/{file}.", todo="Run the cell that writes it.", exit_code=1)
    return path.read_text(encoding="utf-8")


def seeded(source: str, text: str, instead: str) -> str:
    """Return a file's text with a bug in it.

    Raises
    ------
    CourseError
        When it does not have the text that the bug replaces.
    """
    if text not in source:
        raise CourseError(f"The file has no {text!r}, so this bug cannot be put in.", exit_code=1)
    return source.replace(text, instead)


def outcomes(tests: Sequence[str], file: str, versions: Mapping[str, str]) -> Iterator[tuple[str, Outcome]]:
    """Run tests on each version of a DAG file, one after the other.

    Parameters
    ----------
    tests
        Files with tests, seen from the notebook.
    file
        The DAG file's name.
    versions
        Each version's text by its name.
    """
    include = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).resolve().parent / "include"
    for name, text in versions.items():
        with tempfile.TemporaryDirectory(prefix="course-tests-") as folder:
            dags = Path(folder) / "dags"
            dags.mkdir()
            (dags / file).write_text(text, encoding="utf-8")
            (Path(folder) / "include").symlink_to(include)
            yield name, _pytest(tests, dags, Path(folder) / "report.xml")


def _pytest(tests: Sequence[str], dags: Path, report: Path) -> Outcome:
    environment = {**os.environ, "AIRFLOW__CORE__DAGS_FOLDER": str(dags), "NO_COLOR": "1"}
    # A file that cannot be loaded must not keep the tests of the others from saying why.
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--junitxml={report}"]
    argv = [shutil.which("pytest") or "pytest", *options, *tests]
    try:
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Outcome(None, 0, (), f"The tests did not end within {LIMIT:.0f} s.")
    run, failed = read_report(report.read_text(encoding="utf-8") if report.exists() else "<none/>")
    return Outcome(ended.returncode, run, failed, f"{ended.stdout}{ended.stderr}".strip())


def read_report(xml: str) -> tuple[int, tuple[str, ...]]:
    """Return how many tests a JUnit report has, and the names of those that failed or could not run."""
    cases = list(ElementTree.fromstring(xml).iter("testcase"))  # noqa: S314 - pytest's own
    failed = [one for one in cases if one.find("failure") is not None or one.find("error") is not None]
    return len(cases), tuple(map(_name, failed))


def _name(case: ElementTree.Element) -> str:
    name = case.get("name", "")
    # What could not be loaded stands there with its file's dotted path.
    return name if case.get("classname") else f"{name.rpartition('.')[2]}.py (cannot be loaded)"
