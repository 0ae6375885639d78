"""Which dbt packages a submission may ask for."""

from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.grading.dbt_packages import LARGEST, asked_for, provide

MILLIONS = "".join(
    ["a0: &a0 [x]\n", *(f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 8))]
)
"""Five million times `x`, in 300 bytes."""


def asking(folder: Path, text: str, file: str = "packages.yml") -> Path:
    (folder / "include" / "dbt_project").mkdir(parents=True)
    (folder / "include" / "dbt_project" / file).write_text(text)
    return folder / "include" / "dbt_project"


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("", []),
        ("packages:", []),
        ("packages:\n- package: dbt-labs/dbt_utils\n  version: 1.3.0", [("dbt-labs/dbt_utils", ["1.3.0"])]),
        ("packages:\n- package: a/b\n  version: ['>=1.0.0', '<2.0.0']", [("a/b", [">=1.0.0", "<2.0.0"])]),
        ("packages:\n- {package: a/b, version: 1.1}", [("a/b", ["1.1"])]),
    ],
)
@pytest.mark.parametrize("file", ["packages.yml", "dependencies.yml"])
def test_packages_of_the_hub_are_taken(tmp_path: Path, text: str, packages: list[object], file: str) -> None:
    assert [(one["package"], one["version"]) for one in asked_for(asking(tmp_path, text, file))] == packages


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("packages:\n- git: 'ext::sh -c touch% /tmp/x'", "`git` is not a package of dbt Hub"),
        ("packages:\n- git: https://example.org/x.git\n  revision: main", "`git` is not a package of dbt Hub"),
        ("packages:\n- local: ../../../source", "`local` is not a package of dbt Hub"),
        ("packages:\n- tarball: http://127.0.0.1/x", "`tarball` is not a package of dbt Hub"),
        ("packages:\n- package: ../../x\n  version: 1.0.0", "is not the name of a package"),
        ("packages:\n- package: a/b", "`a/b` has no version"),
        ("packages:\n- package: a/b\n  version: '{{ env_var(\"HOME\") }}'", "`a/b` has no version"),
        ("packages:\n- package: a/b\n  version: []", "`a/b` has no version"),
        ("packages: 3", "cannot be fetched"),
        ("packages:\n- one", "`one` is not a package of dbt Hub"),
        ("- 1", "cannot be fetched"),
        ("packages: [", "cannot be fetched"),
        ("!!python/object/apply:os.system ['true']", "cannot be fetched"),
        ("#" * (LARGEST + 1), "larger than"),
        ("packages: " + "[" * 9000, "nested too deeply"),
        (f"{MILLIONS}packages:\n- *a7\n", "`list` is not a package"),
        (f"{MILLIONS}packages:\n- package: *a7\n", "`list` is not the name"),
    ],
)
def test_anything_else_is_named_and_not_fetched(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(CourseError) as refused:
        asked_for(asking(tmp_path, text))
    assert why in refused.value.what
    assert refused.value.exit_code == 1


def test_a_project_without_packages_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "include" / "dbt_project").mkdir(parents=True)
    assert provide(tmp_path, tmp_path / "cache") == []
    assert not (tmp_path / "cache").exists()
