"""Is everything in the clone that is made from something else as the build makes it?"""

import re
import shutil
from pathlib import Path

import pytest

from autograder.build import build, tables
from autograder.errors import CourseError
from autograder.manifest import load
from autograder.paths import ASSIGNMENT, ROOT

pytestmark = pytest.mark.integration


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what is authored, and the files that are made from it."""
    for name in ("notebooks", "source", "dags", "release"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb*"))
    shutil.copyfile(ROOT / "course.yaml", tmp_path / "course.yaml")
    marked = "# A course\n\n<!-- points:begin -->\n<!-- points:end -->\n"
    (tmp_path / "README.md").write_text(tables.fill(marked, load()), encoding="utf-8")
    return tmp_path


def contents(clone: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()}


def test_this_clone_is_built() -> None:
    assert build(check=True) == []


def test_a_build_from_nothing_gives_the_same_files(clone: Path) -> None:
    built = contents(clone)
    for path in clone.rglob("*"):
        if path.suffix == ".ipynb" or path.parent.name == "dags":
            path.unlink()
    lines = build(root=clone)
    assert contents(clone) == built
    assert f"release/{ASSIGNMENT}/{ASSIGNMENT}.ipynb written" in lines


def test_a_difference_is_named_and_mended(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = contents(clone)
    release = {f"{ASSIGNMENT}.ipynb": built[clone / "release" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"]}
    monkeypatch.setattr("autograder.build.release_files", lambda *_: release)  # nbgrader is not in question
    dag = clone / "dags" / "taxi_pipeline.py"
    dag.write_text(dag.read_text().replace("retries", "attempts"))
    stray = clone / "release" / ASSIGNMENT / "answers.py"
    stray.write_text("# all of them")
    expected = [
        "dags/taxi_pipeline.py differs from what it is made from. Run: ./course build",
        f"release/{ASSIGNMENT}/answers.py is made from nothing here: delete it, or write what it is made from.",
    ]
    assert build(check=True, root=clone) == expected
    assert "attempts" in dag.read_text(), "a check writes nothing"
    assert build(root=clone) == ["dags/taxi_pipeline.py written", expected[1]]
    stray.unlink()
    assert contents(clone) == built


def test_points_reach_notebook_release_and_readme(clone: Path) -> None:
    manifest = clone / "course.yaml"
    manifest.write_text(manifest.read_text().replace("points: 10", "points: 12", 1))
    lines = build(root=clone)
    folder = f"{ASSIGNMENT}/{ASSIGNMENT}"
    for name in (f"source/{folder}.md", f"source/{folder}.ipynb", f"release/{folder}.ipynb", "README.md"):
        assert f"{name} written" in lines
        assert re.search(r'points"?: 12\b|\| 12 \|', (clone / name).read_text()), name


def test_a_notebook_that_nbgrader_refuses_is_an_error_with_its_reason(clone: Path) -> None:
    twin = clone / "source" / ASSIGNMENT / f"{ASSIGNMENT}.md"
    twin.write_text(twin.read_text().replace("schema_version: 3", "schema_version: 2"))
    with pytest.raises(CourseError, match="SchemaTooOldError") as caught:
        build(root=clone)
    assert caught.value.where.endswith(f"{ASSIGNMENT}.md")
