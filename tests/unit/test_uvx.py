"""What does `uvx` on PATH become?"""

import os
from pathlib import Path

import pytest

from autograder.airflow_local import uvx


class BecameError(Exception):
    """Raised in place of becoming another program."""


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(path: str, argv: list[str]) -> None:
        raise BecameError(path, *argv)

    monkeypatch.setattr(os, "execv", raising)
    monkeypatch.setattr(os, "execvp", raising)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--python 3.11 --from dbt-core==1.10.* --with dbt-postgres==1.10.*",
        "-p 3.11 --from=dbt-core --with=dbt-postgres",
        "--no-cache --quiet --with dbt-postgres",
    ],
)
def test_dbt_is_the_environments_own(become: None, options: str) -> None:
    with pytest.raises(BecameError) as became:
        uvx.main("/real/uvx", *options.split(), "dbt", "run", "--profiles-dir", ".")
    assert became.value.args == ("dbt", "dbt", "run", "--profiles-dir", ".")


@pytest.mark.parametrize("arguments", ["ruff check dbt", "--from dbt-core dbt-docs", "--version", "", "--with dbt"])
def test_anything_else_goes_to_uv(become: None, arguments: str) -> None:
    with pytest.raises(BecameError) as became:
        uvx.main("/real/uvx", *arguments.split())
    assert became.value.args == ("/real/uvx", "/real/uvx", *arguments.split())


def test_the_module_is_quick_to_start() -> None:
    text = Path(uvx.__file__).read_text()
    assert {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))} == {
        "os",
        "sys",
        "collections.abc",
    }
