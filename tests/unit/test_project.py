"""Does the folder that is run hold what was handed in, and does its name tell contents apart?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.observe.project import KEPT_TEXT, LARGEST, content_digest, described, write_project, written_files
from autograder.paths import ASSIGNMENT, DBT_PROJECT, RELEASE, SOURCE

DAG = "dags/taxi_pipeline.py"
OWN_DBT = "include/dbt_project/dbt_project.yml"
WRITE = f"%%writefile {DAG}\n"

IPYTHON = """
import json, os, sys, tempfile
from IPython.core.interactiveshell import InteractiveShell
shell, written = InteractiveShell.instance(), []
for cells in json.load(sys.stdin):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("dags")
        for cell in cells:
            shell.run_cell(cell)
        found = [os.path.join(top, name) for top, _, names in os.walk(".") for name in names]
        written.append({os.path.normpath(path): open(path, newline="").read() for path in found})
        os.chdir("/")
with open(sys.argv[1], "w") as file:
    json.dump(written, file)
"""

NOTEBOOKS = {
    "no newline at the end": [f"{WRITE}x = 1"],
    "a newline at the end": [f"{WRITE}x = 1\n"],
    "empty lines around": [f"{WRITE}\n\nx = 1\n\n\n"],
    "an empty line alone": [f"{WRITE}\n"],
    "no text": [WRITE],
    "no text and no newline": [WRITE.strip()],
    "what IPython changes elsewhere": [f"{WRITE}%matplotlib\n!ls\n?x\ny?\n$z {{x}}\n%%writefile dags/b.py\n"],
    "letters, tabs and blanks": [f"{WRITE}# ü € 🚕\n\tif\n   trailing  \n"],
    "ends of line of other kinds": [f"{WRITE}a\r\nb\rc\x0cd\u2028e\n"],
    "empty lines before": [f"\n \n{WRITE}x"],
    "lines of blanks alone": [f"{WRITE}a\n   \n\t\n  b\n  "],
    "an indent": [f"  {WRITE}  x\n\n    y\n"],
    "an indent of the first line alone": [f"  {WRITE}x"],
    "a line before": [f"# my DAG\n{WRITE}x"],
    "the last text wins": [f"{WRITE}1", f"{WRITE}2"],
    "two files": [f"{WRITE}1", "%%writefile dags/b.py\n2"],
    "appended": [f"{WRITE}1", f"%%writefile -a {DAG}\n2", f"%%writefile --append {DAG}\n3"],
    "appended, said last": [f"{WRITE}1", f"%%writefile {DAG} -a\n2"],
    "appended to nothing": [f"%%writefile -a {DAG}\n2"],
    "written anew after appending": [f"{WRITE}1", f"%%writefile -a {DAG}\n2", f"{WRITE}3"],
    "the same magic under its other name": [f"%%file {DAG}\nx"],
    "single quotes": ["%%writefile 'dags/a b.py'\nx"],
    "double quotes": [f'%%writefile "{DAG}"\nx'],
    "blanks around the path": [f"%%writefile   {DAG}   \nx"],
    "a path from here": [f"%%writefile ./{DAG}\nx"],
    "two paths": ["%%writefile dags/a b.py\nx"],
    "a comment after the path": [f"%%writefile {DAG} # mine\nx"],
    "a quote that is not closed": ['%%writefile "dags/a.py\nx'],
    "no path": ["%%writefile -a\nx"],
    "an option for a path": ["%%writefile --amend\nx"],
    "no such option": [f"%%writefile --amend {DAG}\nx"],
    "no such magic": [f"%%writefiles {DAG}\nx", f"%% writefile {DAG}\nx", f"%%writefile\t{DAG}\nx"],
    "nothing written": ["x = 1", "print('%%writefile')"],
}


def notebook(path: Path, *cells: str) -> Path:
    """Write a notebook as nbformat does, a list of lines for each cell."""
    described = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    text = {"cell_type": "markdown", "source": [f"{WRITE}not code"]}
    path.write_text(json.dumps({"cells": [text, *described], "nbformat": 4}), encoding="utf-8")
    return path


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def project(folder: Path, **contents: str) -> Path:
    """Write a project folder with a DAG file, and others by their paths."""
    for name, text in {"dags/taxi_pipeline.py": "dag\n", **contents}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def written_by_ipython(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    answer = tmp_path_factory.mktemp("ipython") / "written.json"
    subprocess.run(
        [sys.executable, "-c", IPYTHON, str(answer)],
        input=json.dumps(list(NOTEBOOKS.values())),
        cwd=answer.parent,
        env={"IPYTHONDIR": str(answer.parent)},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return dict(zip(NOTEBOOKS, json.loads(answer.read_text()), strict=True))


@pytest.mark.parametrize("case", NOTEBOOKS)
def test_it_is_what_ipython_writes(case: str, tmp_path: Path, written_by_ipython: dict[str, dict[str, str]]) -> None:
    found = written_files(notebook(tmp_path / "n.ipynb", *NOTEBOOKS[case]))
    assert {str(path): body for path, body in found} == written_by_ipython[case]
    into = write_project(tmp_path / "n.ipynb", tmp_path / "project")
    for name, body in written_by_ipython[case].items():
        assert (into / name).read_bytes() == body.encode(), "and it is written as it is"


def test_ipython_was_asked_in_earnest(written_by_ipython: dict[str, dict[str, str]]) -> None:
    assert written_by_ipython["appended"] == {DAG: "1\n2\n3\n"}
    assert written_by_ipython["nothing written"] == {}


def test_a_cells_source_may_be_one_string(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": f"{WRITE}x\ny"}]}))
    assert written_files(path) == [(Path(DAG), "x\ny\n")]


@pytest.mark.parametrize("path", ["/tmp/dag.py", "../dags/dag.py", "dags/../../dag.py", "~/dag.py", '"/tmp/a b.py"'])
def test_a_path_outside_the_project_is_refused(tmp_path: Path, path: str) -> None:
    handed_in = notebook(tmp_path / "n.ipynb", f"{WRITE}x", f"%%writefile {path}\nx")
    with pytest.raises(CourseError, match="writes outside the project") as caught:
        write_project(handed_in, tmp_path / "project")
    assert caught.value.exit_code == 1
    assert path.strip('"') in caught.value.where
    assert files(tmp_path / "project") == {}


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="cannot be written: Is a directory") as caught:
        write_project(notebook(tmp_path / "n.ipynb", "%%writefile dags\nx"), tmp_path / "project")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"cells": null}',
        b'{"cells": {"a": 1}}',
        b'{"cells": ["x"]}',
        b'{"cells": [{"cell_type": "code"}]}',
        b'{"cells": [{"cell_type": "code", "source": null}]}',
        b'{"worksheets": []}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_notebook_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    with pytest.raises(CourseError, match="not a notebook that can be read") as caught:
        written_files(path)
    assert (caught.value.where, caught.value.exit_code) == (str(path), 1)
    assert "\n" not in caught.value.what


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_neither_dags_nor_a_notebook_is_nothing_to_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="nothing here to run") as caught:
        write_project(tmp_path / name, tmp_path / "project")
    assert (caught.value.where, caught.value.exit_code) == (str(tmp_path / name), 1)
    assert f"{ASSIGNMENT}.ipynb" in caught.value.todo


def test_a_notebook_that_is_not_there_is_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="nothing here to run"):
        write_project(tmp_path / "n.ipynb", tmp_path / "project")


def test_a_folder_gives_what_counts_of_it_alone(tmp_path: Path) -> None:
    counts = {
        "include/dbt_project/dbt_project.yml": "mine",
        "tests/test_dag.py": "tests",
        "RUNBOOK.md": "how",
        "ASSIGNMENT_REPORT.md": "what",
    }
    others = {"plugins/listens.py": "no", "README.md": "no", "pytest.ini": "no"}
    handed_in = project(tmp_path / "handed_in", **counts, **others)
    into = write_project(handed_in, tmp_path / "project")
    assert files(into) == {DAG: "dag\n", **counts}


def test_links_and_what_is_too_large_are_left_behind(tmp_path: Path) -> None:
    handed_in = project(tmp_path / "handed_in", **{"dags/large.csv": "x" * (LARGEST + 1), OWN_DBT: "x"})
    (tmp_path / "secret").write_text("not handed in")
    for name in ("dags/link.py", "RUNBOOK.md"):
        (handed_in / name).symlink_to(tmp_path / "secret")
    assert files(write_project(handed_in, tmp_path / "project")) == {DAG: "dag\n", OWN_DBT: "x"}


def test_what_was_handed_in_is_described(tmp_path: Path) -> None:
    handed_in = project(tmp_path, **{"tests/unit/test_dag.py": "", "dags/ada/more.py": "", "RUNBOOK.md": "Hello"})
    (handed_in / "ASSIGNMENT_REPORT.md").write_bytes(b"\xff\xfe")
    assert described(handed_in) == {
        "dags": ["ada/more.py", "taxi_pipeline.py"],
        "tests": ["unit/test_dag.py"],
        "RUNBOOK.md": "Hello",
        "ASSIGNMENT_REPORT.md": None,
        "unread": ["ASSIGNMENT_REPORT.md"],
    }


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    text = described(project(tmp_path, **{"RUNBOOK.md": "é" * (KEPT_TEXT + 1)}))["RUNBOOK.md"]
    assert text == "é" * KEPT_TEXT


def test_caches_are_left_behind(tmp_path: Path) -> None:
    caches = ("dags/__pycache__/a.py", "dags/a.pyc", "dags/.ipynb_checkpoints/a.py", "include/dbt_project/logs/dbt.log")
    handed_in = project(
        tmp_path / "handed_in", **dict.fromkeys(caches, "x"), **{"include/dbt_project/target/manifest.json": "x"}
    )
    assert files(write_project(handed_in, tmp_path / "project")) == {DAG: "dag\n"}


def test_a_folder_with_the_assignments_notebook_is_that_notebook(tmp_path: Path) -> None:
    (tmp_path / "handed_in").mkdir()
    notebook(tmp_path / "handed_in" / f"{ASSIGNMENT}.ipynb", f"{WRITE}x")
    into = write_project(tmp_path / "handed_in", tmp_path / "project")
    assert (into / DAG).read_text() == "x\n"


def test_the_courses_dbt_project_stands_in(tmp_path: Path) -> None:
    into = write_project(notebook(tmp_path / "n.ipynb", f"{WRITE}x"), tmp_path / "project")
    models = {path.name for path in (into / "include" / "dbt_project").rglob("*.sql")}
    assert models == {path.name for path in (DBT_PROJECT).rglob("*.sql") if "target" not in path.parts} != set()


def test_the_reference_and_the_release_give_their_dag(tmp_path: Path) -> None:
    for number, folder in enumerate((SOURCE, RELEASE)):
        into = write_project(folder / ASSIGNMENT, tmp_path / str(number))
        assert ("@dag(" in (into / DAG).read_text()) == (folder == SOURCE)


def test_a_notebook_and_the_same_folder_have_equal_digests(tmp_path: Path) -> None:
    by_notebook = write_project(notebook(tmp_path / "n.ipynb", f"{WRITE}dag"), tmp_path / "by_notebook")
    by_folder = write_project(project(tmp_path / "handed_in"), tmp_path / "by_folder")
    assert content_digest(by_notebook) == content_digest(by_folder)


def test_caches_and_what_does_not_count_leave_the_digest_as_it_was(tmp_path: Path) -> None:
    before = content_digest(project(tmp_path))
    others = ("dags/__pycache__/a.pyc", "include/dbt_project/target/run.json", "README.md", "orchestrated.ipynb")
    assert content_digest(project(tmp_path, **dict.fromkeys(others, "x"))) == before


@pytest.mark.parametrize(
    "other",
    [
        {DAG: "dag"},
        {DAG: "gad\n"},
        {"dags/helper.py": ""},
        {"include/dbt_project/models/a.sql": ""},
        {"dags/a/taxi_pipeline.py": "dag\n"},
    ],
)
def test_any_other_content_has_another_digest(tmp_path: Path, other: dict[str, str]) -> None:
    before = content_digest(project(tmp_path / "one"))
    assert content_digest(project(tmp_path / "other", **other)) != before


def test_the_same_text_in_another_file_has_another_digest(tmp_path: Path) -> None:
    one = project(tmp_path / "one", **{"dags/a": "1", "dags/b": "2"})
    other = project(tmp_path / "other", **{"dags/a": "12", "dags/b": ""})
    renamed = project(tmp_path / "renamed", **{"dags/a": "1", "dags/c": "2"})
    assert len({content_digest(folder) for folder in (one, other, renamed)}) == 3


def test_a_folder_of_nothing_has_a_digest(tmp_path: Path) -> None:
    assert content_digest(tmp_path) == content_digest(tmp_path / "missing")
