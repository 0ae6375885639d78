"""A class repository on this machine: a Git server's part, a student's clone, pull requests.

Contract: `make_class_repository` makes `class_repository/` in the notebook's folder from deploy/class_repository, with
two classmates' DAGs in it: `origin.git` stands for the repository on the class's server, `clone` is the student's.
`pull_request` runs the repository's own check on a branch as it was pushed, and `merge` merges what has passed. Git
does all of it; only the teacher's approval is taken for granted.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from autograder.errors import CourseError
from autograder.observe.project import IGNORED
from autograder.paths import CLASS_REPOSITORY, DBT_PROJECT

FOLDER = Path("class_repository")
ORIGIN, CLONE, CHECKED = FOLDER / "origin.git", FOLDER / "clone", FOLDER / "checked.json"

NAMES = ("grace", "linus", "margaret")
"""Two of these are in the class as well."""

CHECK_LIMIT = 120.0
"""Seconds that a check may take."""

QUIETLY = {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
"""pytest leaves nothing behind, and cuts no message short."""

PROTECT_MAIN = """#!/bin/sh
# What branch protection does on a Git host: nobody pushes to main, the merge of a pull request apart.
[ "$1" != refs/heads/main ] || [ -n "$MERGE_OF_A_PULL_REQUEST" ] || {
    echo "main is protected. Push a branch, and open a pull request." >&2
    exit 1
}
"""


def classmates(student: str) -> list[str]:
    """Return the names of the student's two classmates."""
    return [name for name in NAMES if name != student][:2]


def make_class_repository(student: str) -> Path:
    """Make the class repository afresh, and return the student's clone.

    Parameters
    ----------
    student
        Whose clone it is.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    CLONE.mkdir(parents=True)
    members = [student, *classmates(student)]
    shutil.copytree(CLASS_REPOSITORY, CLONE, ignore=IGNORED, dirs_exist_ok=True)
    shutil.copytree(DBT_PROJECT, CLONE / "include" / "dbt_project", ignore=IGNORED)
    for name in classmates(student):
        (CLONE / "dags" / name).mkdir()
        shutil.copy(CLONE / "dags" / "example" / "zones.py", CLONE / "dags" / name)
    with (CLONE / "CODEOWNERS").open("a") as owners:
        owners.writelines(f"/dags/{name}/ @{name} @teacher\n" for name in members)
    git("init", "--quiet", "--bare", "--initial-branch=main", str(ORIGIN), folder=Path())
    hook = ORIGIN.resolve() / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(PROTECT_MAIN)
    hook.chmod(0o755)
    git("config", "core.hooksPath", str(hook.parent), folder=ORIGIN)
    git("init", "--quiet", "--initial-branch=main", folder=CLONE)
    git("remote", "add", "origin", str(ORIGIN.resolve()), folder=CLONE)
    for key, value in (("name", "teacher"), ("email", "teacher@example.org")):
        git("config", f"user.{key}", value, folder=CLONE)
    for key in ("commit.gpgsign", "color.ui", "color.push", "color.transport"):
        git("config", key, "false", folder=CLONE)
    git("config", "core.hooksPath", str(CLONE.resolve() / ".git" / "hooks"), folder=CLONE)
    git("add", "--all", folder=CLONE)
    git("commit", "--quiet", "-m", "The class repository", folder=CLONE)
    git("push", "--quiet", "-u", "origin", "main", folder=CLONE, merging=True)
    git("config", "user.name", student, folder=CLONE)
    git("config", "user.email", f"{student}@example.org", folder=CLONE)
    print(f"{CLONE}/ is {student}'s clone of the class repository. Classmates: {', '.join(classmates(student))}.")
    return CLONE


def pull_request(branch: str) -> bool:
    """Do what happens when a pull request is opened: ask for a review, run the check. Print both.

    Parameters
    ----------
    branch
        As it was pushed.

    Returns
    -------
    bool
        Whether the check has passed.

    Raises
    ------
    CourseError
        When the branch was not pushed.
    """
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        checkout = Path(folder)
        commit = _check_out(branch, checkout)
        changed = git("diff", "--name-only", "origin/main...HEAD", folder=checkout).split()
        owners = git("show", "origin/main:CODEOWNERS", folder=checkout)
        print(f"Pull request: {branch} into main")
        for file in changed:
            print(f"  {file}: a review is asked of {' or '.join(reviewers(owners, file))}")
        print("Check: pytest")
        done = subprocess.run(
            ["pytest", "--color=no"], cwd=checkout, env={**os.environ, **QUIETLY},
            capture_output=True, text=True, timeout=CHECK_LIMIT, check=False,
        )  # fmt: skip
        said = (done.stdout + done.stderr).replace(f"{checkout.resolve()}/", "").strip()
        print("\n".join(f"  {line}" for line in _worth_reading(said.splitlines())))
        passed = done.returncode == 0
        print("✔ The check has passed." if passed else "✘ The check has failed. Mend it, commit and push again.")
    _remember(commit, passed)
    return passed


def merge(branch: str, *, even_so: bool = False) -> str:
    """Merge a pull request whose check has passed into main, bring the clone up to date, and return the commit.

    Parameters
    ----------
    branch
        As it was pushed.
    even_so
        Merge although the check has not passed, as someone with the right to can.

    Raises
    ------
    CourseError
        When the check has not passed on what was pushed last, or the branch is in conflict with main.
    """
    with tempfile.TemporaryDirectory(prefix="merge-") as folder:
        checkout = Path(folder)
        commit = _check_out(branch, checkout)
        if not even_so and not (CHECKED.exists() and json.loads(CHECKED.read_text()).get(commit)):
            raise CourseError(
                f"The check has not passed on {branch} as it was pushed last.",
                todo=f'Push what you have, then run pull_request("{branch}") and see what it says.',
                exit_code=1,
            )
        git("switch", "--quiet", "main", folder=checkout)
        identity = ("-c", "user.name=teacher", "-c", "user.email=teacher@example.org", "-c", "commit.gpgsign=false")
        git(*identity, "merge", "--quiet", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}", folder=checkout)
        git("push", "--quiet", "origin", "main", folder=checkout, merging=True)
        merged = git("rev-parse", "HEAD", folder=checkout)
    git("fetch", "--quiet", folder=CLONE)
    git("switch", "--quiet", "main", folder=CLONE)
    git("merge", "--quiet", "--ff-only", "origin/main", folder=CLONE)
    print(f"Merged. main is at {merged[:7]} now.")
    return merged


def main_commit() -> str:
    """Return the commit that main is at, on the server."""
    return git("rev-parse", "main", folder=ORIGIN)


def reviewers(owners: str, file: str) -> list[str]:
    """Return whose review a change of a file needs, one of them: the last line of CODEOWNERS that fits counts."""
    found: list[str] = []
    for line in owners.splitlines():
        pattern, *names = line.split("#")[0].split() or [""]
        if pattern == "*" or (pattern and fnmatch(f"/{file}", f"{pattern}*" if pattern.endswith("/") else pattern)):
            found = names
    return found


def git(*arguments: str, folder: Path, merging: bool = False) -> str:
    """Run git in a folder and return what it prints.

    Raises
    ------
    CourseError
        When it is not installed, or fails.
    """
    environment = {**os.environ, **({"MERGE_OF_A_PULL_REQUEST": "1"} if merging else {})}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        there = folder.is_dir()
        raise CourseError(
            "Git is not installed." if there else "There is no class repository here.",
            where=str(folder),
            todo="Install git." if there else "Run the cell with make_class_repository(…) first.",
        ) from error
    if done.returncode:
        raise CourseError(f"`git {' '.join(arguments)}` failed:\n{done.stderr.strip()}", where=str(folder), exit_code=1)
    return done.stdout.strip()


def _check_out(branch: str, folder: Path) -> str:
    git("clone", "--quiet", str(ORIGIN.resolve()), str(folder), folder=FOLDER)
    if branch not in git("branch", "--remotes", "--format=%(refname:lstrip=3)", folder=folder).split():
        raise CourseError(
            f"The server has no branch {branch!r}.",
            todo=f"Push it: git -C {CLONE} push origin {branch}",
            exit_code=1,
        )
    git("switch", "--quiet", branch, folder=folder)
    return git("rev-parse", "HEAD", folder=folder)


def _worth_reading(lines: Sequence[str]) -> list[str]:
    """Return what pytest says of each failed test, one below the other, and its last line."""
    failed = [line.removeprefix("FAILED ").split(" - ", 1) for line in lines if line.startswith("FAILED ")]
    told = [f"✘ {name.rpartition('::')[2]}\n    {why.removeprefix('AssertionError: ')}" for name, *(why,) in failed]
    return [*told, lines[-1]] if lines else []


def _remember(commit: str, passed: bool) -> None:
    known = json.loads(CHECKED.read_text()) if CHECKED.exists() else {}
    CHECKED.write_text(json.dumps({**known, commit: passed}))
