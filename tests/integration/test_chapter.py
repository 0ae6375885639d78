"""What papermill's run of a notebook gives, and what is said when it breaks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from autograder import chapter
from autograder.airflow_local.session import Session, members
from autograder.errors import CourseError
from autograder.paths import ROOT

pytestmark = pytest.mark.integration

NOTEBOOKS = ROOT / "tests" / "notebooks"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.open(tmp_path / "state") as session:
        yield session


def execute(session: Session, name: str, cwd: Path, **options: Any) -> Path:
    """Run a notebook of tests/notebooks."""
    given = {"env": {"TLC_URL": "http://source"}, "parameters": {}, **options}
    return chapter.execute(session, NOTEBOOKS / f"{name}.ipynb", cwd=cwd, **given)


def test_a_good_notebook_runs_where_and_as_it_is_told(session: Session, tmp_path: Path) -> None:
    before = (NOTEBOOKS / "good.ipynb").read_bytes()
    told: list[str] = []
    executed = execute(session, "good", tmp_path, parameters={"student": "007"}, told=told.append)
    assert (tmp_path / "seen.txt").read_text() == "007 http://source"
    assert [cell.execution_count for cell in nbformat.read(executed, 4).cells if cell.cell_type == "code"] == [1, 2, 3]
    assert told[0] == "cell 0 of 4"  # the given parameters are a cell of their own
    assert told == sorted(set(told))
    assert executed.parent == session.logs
    assert (NOTEBOOKS / "good.ipynb").read_bytes() == before
    assert members(session.folder) == []


def test_without_parameters_it_keeps_its_own(session: Session, tmp_path: Path) -> None:
    execute(session, "good", tmp_path)
    assert (tmp_path / "seen.txt").read_text() == "default http://source"


@pytest.mark.parametrize("parameters", [{}, {"student": "ada"}], ids=["as it is", "with a parameter"])
def test_a_cell_that_raises_is_named(session: Session, tmp_path: Path, parameters: dict[str, str]) -> None:
    with pytest.raises(CourseError) as caught:
        execute(session, "raises", tmp_path, parameters=parameters)
    assert caught.value.what == "Cell 3 of the notebook raised ValueError: no such month"
    assert caught.value.where == "raises.ipynb, the cell that begins `# The cause is on line 2.`"
    executed = session.logs / "raises.ipynb"
    assert str(executed) in caught.value.todo
    assert "no such month" in executed.read_text()


def test_a_kernel_that_dies_is_told_with_its_cell(session: Session, tmp_path: Path) -> None:
    with pytest.raises(CourseError) as caught:
        execute(session, "dies", tmp_path, parameters={"student": "ada"})
    assert caught.value.what == "Cell 3 of the notebook ended its kernel."
    assert caught.value.where == "dies.ipynb, the cell that begins `import os`"
    assert "about to go" in (session.logs / "dies.ipynb").read_text()


def test_a_cell_that_takes_too_long_is_told(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chapter, "CELL_LIMIT", 1)
    with pytest.raises(CourseError) as caught:
        execute(session, "hangs", tmp_path)
    assert caught.value.what == "Cell 2 of the notebook took longer than 1 s."
    assert caught.value.where == "hangs.ipynb, the cell that begins `import signal`"
    assert [process for process in members(session.folder) if process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_parameter_that_the_notebook_lacks_is_refused_before_it_runs(session: Session, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="has no parameter called month") as caught:
        execute(session, "good", tmp_path, parameters={"student": "ada", "month": "2024-01"})
    assert caught.value.where.endswith("good.ipynb")
    assert not (tmp_path / "seen.txt").exists()


def test_much_output_is_kept_and_an_error_after_it_is_found(session: Session, tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(CourseError) as caught:
        execute(session, "loud", tmp_path, told=told.append)
    assert caught.value.what.startswith("Cell 2 of the notebook raised RuntimeError: after after")
    assert "line 99999 of very many" in (session.logs / "loud.ipynb").read_text()
    assert told[-1] in ("cell 1 of 2", "cell 2 of 2")


@pytest.mark.parametrize("content", [None, '{"cells": [', "[]"], ids=str)
def test_what_is_no_notebook_is_told(session: Session, tmp_path: Path, content: str | None) -> None:
    torn = tmp_path / "torn.ipynb"
    if content:
        torn.write_text(content)
    with pytest.raises(CourseError, match=r"torn.ipynb cannot be read as a notebook") as caught:
        chapter.execute(session, torn, cwd=tmp_path, env={}, parameters={})
    assert caught.value.where == str(torn)


class StoppedError(Exception):
    """What a signal raises."""


def test_a_run_that_is_cut_short_leaves_nothing_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home := tmp_path / "home").mkdir()
    for name in ("HOME", "TMPDIR", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(home))

    def stop(line: str) -> None:
        if line == "cell 1 of 2":  # its kernel runs, in the second cell
            raise StoppedError

    with Session.open(tmp_path / "state") as session, pytest.raises(StoppedError):
        execute(session, "hangs", tmp_path, told=stop)
    assert [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()] == []
