"""What `uvx` and `uv` on PATH run: dbt is the environment's own, whatever version is asked for.

Contract: `uvx [OPTION…] dbt ARG…` and `uv tool run [OPTION…] dbt ARG…`, as deployed DAGs call dbt, run `dbt ARG…` from
PATH, and ask no package index. Anything else goes to uv's own `uvx` or `uv`. Only the standard library is imported:
this starts in every such task.
"""

import os
import sys
from collections.abc import Sequence

BEFORE_TOOL = {"uvx": (), "uv": ("tool", "run")}
"""The programs, and the words that each has before the options of a tool's run."""

WITH_VALUE = {
    *("--from", "--with", "-w", "--with-editable", "--with-requirements", "--python", "-p", "--constraints", "-c"),
    *("--overrides", "--index", "--default-index", "--index-url", "-i", "--extra-index-url", "--find-links", "-f"),
    *("--upgrade-package", "-P", "--refresh-package", "--cache-dir", "--directory", "--project", "--config-file"),
    *("--index-strategy", "--keyring-provider", "--resolution", "--prerelease", "--exclude-newer", "--link-mode"),
    *("--env-file", "--color", "--python-platform", "--reinstall-package", "--no-build-package", "--torch-backend"),
    *("--allow-insecure-host", "--build-constraints", "--config-setting", "--config-settings-package"),
    *("--exclude-newer-package", "--fork-strategy", "--no-binary-package", "--no-build-isolation-package"),
    *("--no-sources-package", "--prerelease-package", "--upgrade-group", "-C", "-b"),
}
"""Options of both that take their value from the next argument."""


def tool(program: str, arguments: Sequence[str]) -> int | None:
    """Return the place of the tool's name among the arguments of `uvx` or `uv`, or None where there is none.

    >>> tool("uvx", ["--python", "3.11", "--from=dbt-core", "--with", "dbt-postgres", "dbt", "run"])
    5
    >>> tool("uv", ["--offline", "tool", "run", "-q", "dbt", "run"])
    4
    >>> tool("uv", ["run", "dbt"])
    """
    words = list(BEFORE_TOOL[program])
    place = 0
    while place < len(arguments):
        if arguments[place].startswith("-"):
            place += 2 if arguments[place] in WITH_VALUE else 1
        elif not words:
            return place
        elif arguments[place] == words.pop(0):
            place += 1
        else:
            return None
    return None


def main(real: str, *arguments: str) -> None:
    """Become dbt, or the uvx or uv at the path `real`."""
    place = tool(real.rpartition("/")[2], arguments)
    if place is not None and arguments[place].partition("@")[0] == "dbt":
        os.execvp("dbt", ["dbt", *arguments[place + 1 :]])  # noqa: S606 - there is nothing for a shell to do
    os.execv(real, [real, *arguments])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
