"""Are derived files made from their sources, the same each time, and are mistakes in the sources named?"""

import json
from pathlib import Path

import pytest

from autograder.airflow_local.local import practice_rows
from autograder.build import assignment, notebooks, tables
from autograder.build.dags import dag_files
from autograder.errors import CourseError
from autograder.manifest import Chapter, Check, Course, Tier

HEAD = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""
SOLUTION = """
```{code-cell} ipython3
---
nbgrader:
  grade: false
  grade_id: the-dag
  locked: false
  schema_version: 3
  solution: true
  task: false
---
%%writefile dags/taxi.py
### BEGIN SOLUTION
### END SOLUTION
```
"""
GRADE = """
```{code-cell} ipython3
---
nbgrader:
  grade: true
  grade_id: of-another-time
  locked: true
  points: 99
  schema_version: 3
  solution: false
  task: false
---
check("minimum.loads")
```
"""
TEXT = f"{HEAD}\n# Homework\n\nDo it.\n{SOLUTION}\n+++\n\nNow check it.\n{GRADE}"
DAGS = {"taxi.py": '"""A DAG."""\n\nimport os\n'}
PATH = Path("source/homework/homework.md")

CHAPTER = Chapter("05", "notebooks/05_backfills.ipynb", "Backfills", 60)
LOADS = Check("minimum.loads", "minimum", 2, "It loads, or | not.", "The file.", CHAPTER, ("a", "b", "c"))
COURSE = Course("A course", "homework", (CHAPTER,), (Tier("minimum", "Minimum"),), (LOADS,))


def chapter(*cells: str) -> notebooks.Notebook:
    text = HEAD + "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)
    return notebooks.parse(text, Path("chapter.md"))


def complete(text: str) -> notebooks.Notebook:
    notebook = notebooks.parse(text, PATH)
    assignment.complete(notebook, DAGS, COURSE, PATH)
    return notebook


# --- notebooks ---


def test_a_text_gives_the_same_notebook_each_time() -> None:
    first, second = (notebooks.to_ipynb(notebooks.parse(TEXT, PATH), PATH) for _ in range(2))
    assert first == second


def test_a_notebook_says_nothing_of_tools_and_has_no_outputs() -> None:
    made = json.loads(notebooks.to_ipynb(notebooks.parse(TEXT, PATH), PATH))
    assert made["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell["outputs"] == [] for cell in made["cells"] if cell["cell_type"] == "code")


def test_cells_are_named_by_themselves_or_by_their_place() -> None:
    named = TEXT.replace("+++", '+++ {"name": "now"}')
    made = json.loads(notebooks.to_ipynb(notebooks.parse(named, PATH), PATH))
    assert [cell["id"] for cell in made["cells"]] == ["cell-000", "the-dag", "now", "of-another-time"]


def test_two_cells_of_one_name_are_an_error() -> None:
    with pytest.raises(CourseError, match="Two cells have the same name: the-dag"):
        notebooks.to_ipynb(notebooks.parse(TEXT + SOLUTION, PATH), PATH)


def test_a_round_trip_loses_nothing() -> None:
    notebook = notebooks.parse(TEXT, PATH)
    text = notebooks.to_text(notebook, TEXT)
    again = notebooks.parse(text, PATH)
    assert notebooks.to_text(again, text) == text
    assert text.startswith(HEAD), "the head is the author's"
    for before, after in zip(notebook.cells, again.cells, strict=True):
        assert (before.cell_type, before.source, before.metadata) == (after.cell_type, after.source, after.metadata)
    assert again.cells[-1].metadata["nbgrader"]["points"] == 99


def test_a_text_that_cannot_be_read_is_named() -> None:
    with pytest.raises(CourseError, match="cannot be read") as caught:
        notebooks.parse(f"{HEAD}\n```{{code-cell}}\n---\na: [\n---\nx\n```\n", PATH)
    assert caught.value.where == str(PATH)


# --- DAG files ---


def test_a_dag_file_is_what_running_the_cell_writes() -> None:
    made = dag_files({Path("05.md"): chapter("x = 1", "%%writefile ../dags/taxi.py\nimport os\n\nprint(1)")})
    assert made == {"taxi.py": "import os\n\nprint(1)\n"}


def test_within_a_chapter_the_later_text_counts() -> None:
    made = dag_files({Path("05.md"): chapter("%%writefile ../dags/a.py\n1", "%%writefile ../dags/a.py\n2")})
    assert made == {"a.py": "2\n"}


def test_two_chapters_may_not_write_one_file() -> None:
    cell = chapter("%%writefile ../dags/a.py\n1")
    with pytest.raises(CourseError, match=r"Two chapters write dags/a\.py") as caught:
        dag_files({Path("04.md"): cell, Path("05.md"): cell})
    assert caught.value.where == "04.md and 05.md"


# --- the assignment ---


def test_solutions_and_points_come_from_where_they_stand() -> None:
    notebook = complete(TEXT)
    assert notebook.cells[1].source == (
        '%%writefile dags/taxi.py\n### BEGIN SOLUTION\n"""A DAG."""\n\nimport os\n### END SOLUTION'
    )
    role = notebook.cells[-1].metadata["nbgrader"]
    assert (role["grade_id"], role["points"]) == ("minimum-loads", 2)


def test_completing_twice_changes_nothing() -> None:
    once = notebooks.to_text(complete(TEXT), TEXT)
    assert notebooks.to_text(complete(once), once) == once


def test_another_files_solution_stays_and_its_table_gets_the_rows_that_the_reference_practises_with() -> None:
    row = "| 2024-01 | 0 | 0 |"
    text = TEXT.replace("dags/taxi.py", "REPORT.md").replace(
        "### BEGIN SOLUTION\n", f"### BEGIN SOLUTION\nmine\n{row}\n"
    )
    rows = f"{practice_rows('reference')['2024-01']:,}"
    solution = complete(text).cells[1].source
    assert f"### BEGIN SOLUTION\nmine\n| 2024-01 | {rows} | {rows} |\n" in solution


@pytest.mark.parametrize(
    ("good", "bad", "what"),
    [
        ('check("minimum.loads")', 'check("minimum.load")', "There is no check called 'minimum.load'"),
        ('check("minimum.loads")', 'check("minimum.loads"); 7', "of-another-time does more than ask for a check"),
        (GRADE, "", "Not one grade cell for each check of the manifest: minimum.loads"),
        (GRADE, GRADE + GRADE, "Not one grade cell for each check of the manifest: minimum.loads"),
        ("dags/taxi.py", "dags/other.py", "No chapter writes dags/other.py"),
        ("%%writefile dags/taxi.py", "x = 1", "A solution cell writes no file, or has no solution in it"),
        ("### BEGIN SOLUTION\n", "", "A solution cell writes no file, or has no solution in it"),
    ],
)
def test_what_does_not_fit_together_is_named(good: str, bad: str, what: str) -> None:
    with pytest.raises(CourseError) as caught:
        complete(TEXT.replace(good, bad))
    assert what in caught.value.what


# --- tables ---


def test_the_table_of_points_is_made_from_the_manifest() -> None:
    marked = "Before.\n\n<!-- points:begin -->\nold\n<!-- points:end -->\n\nAfter.\n"
    made = tables.fill(marked, COURSE)
    assert made == (
        "Before.\n\n<!-- points:begin -->\n\n"
        "| Check | What must hold | Points |\n"
        "|---|---|---:|\n"
        "| **Minimum** | **All of the following** | **2** |\n"
        "| `minimum.loads` | It loads, or &#124; not. | 2 |\n"
        "\n<!-- points:end -->\n\nAfter.\n"
    )
    assert tables.fill(made, COURSE) == made


def test_a_text_without_markers_is_left_alone() -> None:
    assert tables.fill("Nothing here.\n", COURSE) == "Nothing here.\n"
