"""The dbt packages that a submission asks for: fetched by us, outside, once.

Contract: `provide` reads `packages.yml` or `dependencies.yml` of a project and puts what they ask for into it, from
a cache that dbt's own `dbt deps` fills, in a project of ours. Only packages of dbt Hub are fetched: an address that a
submission names is never asked, and nothing of the submission's is run.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from autograder.airflow_local.commands import SCRIPTS
from autograder.errors import CourseError
from autograder.paths import STATE

FILES = ("packages.yml", "dependencies.yml")
FOLDER = "dbt_packages"
LIMIT = 180.0
"""Seconds that the fetching may take."""

LARGEST = 20_000
"""Bytes of a file that names packages."""

_NAME = re.compile(r"[\w-]{1,60}/[\w-]{1,60}", re.ASCII)
_VERSION = re.compile(r"[\w.<>=!, +-]{1,60}", re.ASCII)

Packages = list[dict[str, str | list[str]]]
"""Each `{"package": "owner/name", "version": …}`."""


def asked_for(dbt_project: Path) -> Packages:
    """Return the packages that a dbt project asks for.

    Raises
    ------
    CourseError
        When it asks for something else than packages of dbt Hub, with versions. The student's to change.
    """
    found: Packages = []
    for file in (dbt_project / name for name in FILES):
        if not file.is_file():
            continue
        try:
            if file.stat().st_size > LARGEST:
                raise ValueError(f"it is larger than {LARGEST} bytes")
            entries = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("packages") or []
            found += [_checked(entry) for entry in entries]
        except (OSError, ValueError, AttributeError, TypeError, RecursionError, yaml.YAMLError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise CourseError(
                f"The packages of the dbt project cannot be fetched: {why}.",
                where=f"include/dbt_project/{file.name}",
                todo="Name packages of dbt Hub, each with `package` and `version`.",
                exit_code=1,
            ) from error
    return found


def _checked(entry: object) -> dict[str, str | list[str]]:
    if not isinstance(entry, dict) or "package" not in entry:
        kind = next(iter(entry)) if isinstance(entry, dict) and entry else entry
        raise ValueError(f"`{_short(kind)}` is not a package of dbt Hub")
    name, version = entry["package"], entry.get("version")
    versions = version if isinstance(version, list) else [version]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"`{_short(name)}` is not the name of a package")
    if not versions or not all(isinstance(one, str | float | int) and _VERSION.fullmatch(str(one)) for one in versions):
        raise ValueError(f"`{name}` has no version")
    return {"package": name, "version": [str(one) for one in versions]}


def _short(value: object) -> str:
    """Return a value's text; of a list or a mapping its kind, for it may hold itself a million times."""
    return value[:60] if isinstance(value, str) else type(value).__name__


def provide(project: Path, cache: Path = STATE / "cache" / "dbt-packages") -> list[str]:
    """Put the packages that a project asks for into it.

    Parameters
    ----------
    project
        A submission's project folder, of ours.
    cache
        Where packages are kept.

    Returns
    -------
    list of str
        Their names.

    Raises
    ------
    CourseError
        When the project asks for what cannot be had (exit code 1), or dbt Hub does not answer and the cache does
        not have them (exit code 2).
    """
    dbt_project = project / "include" / "dbt_project"
    packages = asked_for(dbt_project)
    names = [str(one["package"]) for one in packages]
    if not packages:
        return names
    kept = cache / hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()[:24]
    if not kept.is_dir():
        _fetch(packages, kept)
    # What a submission brings under these names is not what dbt Hub has.
    shutil.rmtree(dbt_project / FOLDER, ignore_errors=True)
    shutil.copytree(kept, dbt_project / FOLDER, symlinks=True)
    return names


def _fetch(packages: Packages, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="course-packages-", dir=into.parent) as folder:
        own = Path(folder)
        (own / "dbt_project.yml").write_text("name: fetching\nversion: 1.0.0\nconfig-version: 2\nprofile: none\n")
        (own / "packages.yml").write_text(yaml.safe_dump({"packages": packages}))
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "NO_COLOR": "1"}
        try:
            done = subprocess.run(
                [str(SCRIPTS / "dbt"), "deps", "--project-dir", folder, "--profiles-dir", folder],
                cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=LIMIT, check=False,
            )  # fmt: skip
            why = done.stdout.strip().splitlines()[-3:] if done.returncode else []
        except subprocess.TimeoutExpired:
            why = [f"dbt deps did not end within {LIMIT:.0f} s"]
        for path in (own / FOLDER).rglob("*"):
            if path.is_symlink():
                why = [f"{path.relative_to(own / FOLDER)} is a link"]
        if why or not (own / FOLDER).is_dir():
            wanted = ", ".join(f"{one['package']} {' '.join(one['version'])}" for one in packages)
            raise CourseError(
                f"These dbt packages are missing here and cannot be fetched: {wanted}.\n" + "\n".join(why),
                where=str(into.parent),
                todo="Grade once with a connection to hub.getdbt.com: they are kept.",
            )
        try:
            (own / FOLDER).rename(into)
        except OSError:
            if not into.is_dir():  # another was quicker
                raise
