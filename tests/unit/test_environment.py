"""Is what is installed what the lock says, and do all places that name a Python or the lock agree?"""

import importlib.util
import json
import re
import sysconfig
import tomllib
from importlib import metadata
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from autograder.paths import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRIES = re.split(r"\n(?=\S)", LOCK.replace("\\\n", " ").strip())  # one a package: the requirement, then its hashes
LOCKED = [Requirement(entry.split("--hash=")[0]) for entry in ENTRIES]
HERE: dict[str, str] = {
    canonicalize_name(locked.name): next(iter(locked.specifier)).version
    for locked in LOCKED
    if locked.marker is None or locked.marker.evaluate()
}
INSTALLERS = {"pip", "wheel"}  # venv and conda put these there themselves
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SUPPORTED = ["3.11", "3.12", "3.13"]


def test_every_package_of_the_lock_is_pinned_and_hashed() -> None:
    entry = re.compile(r"[a-z0-9-]+==[^\s*;]+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [wrong.split("--hash")[0] for wrong in ENTRIES if not entry.fullmatch(wrong)] == []


def test_the_lock_names_no_host() -> None:
    # A registry's address would send everyone there, past the one that they set up for themselves.
    assert not re.findall(r"://| @ |^-|--(?!hash=)\w+|^#", LOCK, flags=re.MULTILINE)


def test_what_is_installed_is_what_the_lock_lists_for_this_platform() -> None:
    # Where packages are installed; an import may have put more on this process's path, such as setuptools' own copies.
    places = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    installed = {canonicalize_name(dist.name): dist.version for dist in metadata.distributions(path=places)}
    installed = {name: version for name, version in installed.items() if name not in INSTALLERS}
    assert installed == HERE, "run ./course (or, in a conda environment, the commands in environment.yml)"


def test_what_pyproject_asks_for_is_locked() -> None:
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    wrong = [str(want) for want in asked if not want.specifier.contains(HERE.get(canonicalize_name(want.name), "0"))]
    assert not wrong, f"lock them: see CONTRIBUTING.md, 'change the packages': {wrong}"
    assert "psycopg-binary" in HERE  # what the [binary] of psycopg brings


def test_rfc3987_syntax_is_left_out() -> None:
    why = (
        "jsonschema imports rfc3987-syntax wherever it is installed, and that builds a parser: 1.9 s in every Airflow "
        "process. pyproject.toml's override-dependencies keeps it out of the lock; uninstall it, or make .venv anew."
    )
    assert importlib.util.find_spec("rfc3987_syntax") is None, why
    assert "rfc3987-syntax" not in HERE, why


def test_dbt_stays_below_the_version_that_downloads_while_it_installs() -> None:
    why = "dbt-core 1.12 fetches a parser from a code host at install time, which a registry alone cannot answer"
    assert SpecifierSet("<1.12").contains(HERE["dbt-core"]), why


def test_conda_installs_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    python, pip, packages = environment["dependencies"]
    assert python.removeprefix("python=") in SUPPORTED
    assert pip == "pip"
    assert packages == {"pip": ["-r requirements.lock"]}, "a package named here would be a second truth beside the lock"


def test_all_places_support_the_same_pythons() -> None:
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(40) if supported.contains(f"3.{minor}")] == SUPPORTED
    launcher = (ROOT / "course").read_text(encoding="utf-8")
    assert set(re.findall(r"\bpython(3\.\d+)\b", launcher)) == set(SUPPORTED)
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == SUPPORTED
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert re.findall(r"\d+\.\d+", container["image"])[0] in SUPPORTED


def test_ci_runs_what_a_person_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step] == ["./.ci/run"]
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == "./course test"
