"""What `uvx` on PATH runs: dbt is the environment's own, whatever version is asked for.

Contract: `uvx [OPTION…] dbt ARG…`, as a deployed DAG calls dbt, runs `dbt ARG…` from PATH, and asks no package index.
Anything else goes to uv's own `uvx`. Only the standard library is imported: this starts in every such task.
"""

import os
import sys
from collections.abc import Sequence

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
"""uvx's options that take their value from the next argument."""


def tool(arguments: Sequence[str]) -> int | None:
    """Return the place of the tool's name among uvx's arguments, or None where there is none.

    >>> tool(["--python", "3.11", "--from=dbt-core", "--with", "dbt-postgres", "dbt", "run"])
    5
    """
    place = 0
    while place < len(arguments):
        if not arguments[place].startswith("-"):
            return place
        place += 2 if arguments[place] in WITH_VALUE else 1
    return None


def main(real: str, *arguments: str) -> None:
    """Become dbt, or the uvx at the path `real`."""
    place = tool(arguments)
    if place is not None and arguments[place].partition("@")[0] == "dbt":
        os.execvp("dbt", ["dbt", *arguments[place + 1 :]])  # noqa: S606 - there is nothing for a shell to do
    os.execv(real, [real, *arguments])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
