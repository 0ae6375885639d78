"""`uvx … dbt …` and `uv tool run … dbt …` run the course's dbt, with warm parents and without."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from autograder.airflow_local.commands import SCRIPTS, Commands
from autograder.airflow_local.postgres import Postgres
from autograder.airflow_local.session import Session
from autograder.airflow_local.uvx import WITH_VALUE

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The commands where no parent is warm, before a `dbt` that says what it was given."""
    with pytest.MonkeyPatch.context() as patch, Session.open(tmp_path_factory.mktemp("state")) as session:
        patch.setenv("COURSE_WARM", "0")
        commands = Commands.start(session, cast("Postgres", None), {})
        told = tmp_path_factory.mktemp("bin")
        (told / "dbt").write_text('#!/bin/sh\nprintf "<%s>" dbt "$@"; cat; echo to stderr >&2; exit 3\n')
        (told / "dbt").chmod(0o755)
        patch.setenv("PATH", os.pathsep.join([str(commands.folder), str(told), os.environ["PATH"]]))
        yield commands.folder


DBT = "uvx --python 3.11 --from 'dbt-core==1.10.*' --with 'dbt-postgres==1.10.*' dbt"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (f"{DBT} run", "<dbt><run>"),
        (f"{DBT} run --select 'a b' --vars '{{c: \"\"}}' ''", '<dbt><run><--select><a b><--vars><{c: ""}><>'),
        ("uvx dbt@1.10 --version", "<dbt><--version>"),
        ("uvx -q -p 3.12 --isolated --with=dbt-postgres dbt dbt", "<dbt><dbt>"),
        ("uvx --with dbt -w dbt dbt", "<dbt>"),
        (f"{DBT} run".replace("uvx", "uv tool run"), "<dbt><run>"),
        ("uv --offline --cache-dir tool tool run -q dbt@1.10 tool run", "<dbt><tool><run>"),
    ],
)
def test_uvx_dbt_is_dbt(folder: Path, command: str, arguments: str) -> None:
    done = subprocess.run(["bash", "-c", command], input="from stdin", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{arguments}from stdin", "to stderr\n")


@pytest.mark.parametrize(
    "command",
    [
        *("uvx --version", "uvx --with dbt --offline no-such-command-here", "uvx --no-such-option"),
        *("uv --version", "uv tool", "uv --offline tool run --with dbt no-such-command-here", "uv no-such-command dbt"),
    ],
)
def test_all_else_is_uvs(folder: Path, command: str) -> None:
    name, *arguments = command.split()
    ours, real = (
        subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
        for program in (folder / name, SCRIPTS / name)
    )
    assert (ours.returncode, ours.stdout, ours.stderr) == (real.returncode, real.stdout, real.stderr)


def test_without_warm_parents_the_others_are_the_environments_own(folder: Path) -> None:
    assert sorted(one.name for one in folder.iterdir()) == ["uv", "uvx"]


def test_every_option_with_a_value_is_known() -> None:
    for program in ("uvx", "uv"):
        told = subprocess.run([SCRIPTS / program, "--help"], capture_output=True, text=True, check=True).stdout
        pairs = re.findall(r"^ +(?:(-\w), )?(--[\w-]+) <", told, re.MULTILINE)
        assert {name for pair in pairs for name in pair if name} <= WITH_VALUE
