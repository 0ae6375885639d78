"""Is there anything in what students get that they must not see?"""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from autograder.manifest import load
from autograder.paths import ASSIGNMENT, RELEASE, SOURCE

NOTEBOOK = f"{ASSIGNMENT}/{ASSIGNMENT}.ipynb"
FILES = ["dags/taxi_pipeline.py", "RUNBOOK.md", "ASSIGNMENT_REPORT.md", "tests/test_taxi_pipeline.py"]
SECTIONS = {
    "RUNBOOK.md": ["Trigger a run", "Backfill", "Logs", "Likely failures"],
    "ASSIGNMENT_REPORT.md": [
        *("Schedule and why", "The pipeline", "Rows before and after"),
        *("A debugging case", "One use of an LLM"),
    ],
}
RELEASED = sorted(path for path in RELEASE.rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts)

CELLS = nbformat.read(SOURCE / NOTEBOOK, as_version=4).cells
SOURCES = [cell.source for cell in CELLS]
REGION = re.compile(r"^.*BEGIN SOLUTION.*\n((?:.*\n)*?).*END SOLUTION", re.MULTILINE)
SOLUTIONS = [solution for source in SOURCES for solution in REGION.findall(source)]
GIVEN = "\n".join(REGION.sub("", cell.source) for cell in CELLS if cell.cell_type == "code")
PROSE = "\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")


def secret_lines() -> list[str]:
    """Return the solutions' lines that say something: no bare bracket, and none that is in a given cell too."""
    lines = {line.strip() for solution in SOLUTIONS for line in solution.splitlines()}
    return sorted(line for line in lines if len(re.sub(r"\W", "", line)) > 2 and line not in GIVEN)


def test_there_is_a_release_and_a_solution() -> None:
    assert [path.relative_to(RELEASE).as_posix() for path in RELEASED] == [NOTEBOOK]
    assert len(secret_lines()) > 50


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.name)
def test_nothing_of_the_solution_is_released(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":  # as text, so that JSON's escapes hide nothing
        text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    lines = {line.strip() for line in text.splitlines()}
    # Within a sentence, only what is too long to be a word of Airflow's: the brief says "`@task`" too.
    assert [line for line in secret_lines() if line in lines or (len(line) > 20 and line in text)] == []
    assert not any(mark in text for mark in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS"))


def written() -> dict[str, str]:
    """Return the files that the release writes."""
    cells = nbformat.read(RELEASE / NOTEBOOK, as_version=4).cells
    solutions = [cell.source for cell in cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {magic.removeprefix("%%writefile "): text for magic, _, text in (one.partition("\n") for one in solutions)}


def test_each_file_says_that_it_is_not_written_yet() -> None:
    assert list(written()) == FILES
    for name, text in written().items():
        assert "raise NotImplementedError()" in text
        if name.endswith(".py"):
            with pytest.raises(NotImplementedError):
                exec(compile(text, name, "exec"))


def test_the_sections_of_the_texts_are_given_and_empty() -> None:
    for name, sections in SECTIONS.items():
        heads = re.findall("^## (.+)$", written()[name], re.MULTILINE)
        assert heads == sections
        assert written()[name].count("raise NotImplementedError()") == len(sections)


def test_each_check_has_a_locked_cell_of_one_statement_with_its_points() -> None:
    cells = nbformat.read(RELEASE / NOTEBOOK, as_version=4).cells
    roles = [(cell, cell.metadata["nbgrader"]) for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [(role["grade_id"], role["points"]) for _, role in roles] == [
        (check.grade_id, check.points) for check in load().checks
    ]
    for cell, role in roles:
        (statement,) = ast.parse(cell.source).body
        assert ast.unparse(statement).startswith("check(")
        assert role["locked"]
        assert not cell.outputs


def test_a_release_is_paired_with_no_text() -> None:
    assert "jupytext" not in nbformat.read(RELEASE / NOTEBOOK, as_version=4).metadata


def test_the_brief_has_one_title_and_three_tiers() -> None:
    prose = re.sub(r"^```.*?^```$", "", PROSE, flags=re.DOTALL | re.MULTILINE)
    headings = [line for line in prose.splitlines() if re.match("##? ", line)]
    assert [line for line in headings if line.startswith("# ")] == ["# Assignment: an orchestrated pipeline"]
    tiers = [f"## {tier.title}" for tier in load().tiers]
    assert [line for line in headings if line in tiers] == tiers
