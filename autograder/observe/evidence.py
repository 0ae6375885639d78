"""The evidence on one submission: run it, or find what an earlier run of the same wrote down.

Contract: `observed` returns one JSON document. It depends only on the submission's content, the student, the
grading secret and this program; its name in the cache is a hash of these, so that nothing is run twice and
nothing stale is used.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.observe.observation import Observation
from autograder.observe.project import IGNORED, content_digest
from autograder.observe.stage import Told
from autograder.paths import ROOT, STATE
from autograder.sandbox import Sandbox

VERSION = 2
"""Of the document's form."""

PROGRAM = (
    "autograder/airflow_api.py",
    "autograder/airflow_local",
    "autograder/observe",
    "dags/taxi_pipeline.py",
    "include/dbt_project",
    "requirements.lock",
)
"""What the evidence depends on, beside the submission: files, and folders with all that git would keep in them."""

PARSE = ("parse",)
"""The quickest answer: does it load?"""

VISIBLE = ("parse", "january", "backfill", "backfill_again", "runbook")
"""What a student's own check plays."""

SCENARIOS = (
    *("parse", "january", "other_month", "busy_source", "unpublished", "damaged", "manual_run", "failing_tests"),
    *("backfill", "backfill_again", "cut_load", "runbook", "shared", "own_tests"),
)
"""All, in the order in which they are played."""


def observed(
    project: Path,
    student: str,
    *,
    wanted: Sequence[str] = SCENARIOS,
    shared: Shared | None = None,
    sandbox: Sandbox | None = None,
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Return the evidence on a project folder.

    Parameters
    ----------
    project
        The folder with `dags/` and `include/dbt_project/`, as `write_project` makes it.
    student
        Whose it is.
    wanted
        Which of `SCENARIOS` are to be in it, `parse` among them. What is on record with more serves as well.
    shared
        What its Airflow is to share with others; it gets a session of its own otherwise.
    sandbox
        What the student's code is to run in. Only what was observed in one is then taken from the record.
    told
        Takes lines of progress.

    Returns
    -------
    dict
        `version`, `student`, `digest`, `dag_id`, `files`, `parsed`, `source`, `practice`, and a part for each
        scenario that was wanted and could begin; `seconds` for each part.

    Raises
    ------
    Ended
        When the submission was ended in its sandbox.
    """
    name = digest(project, student)
    sizes = [chosen for chosen in (SCENARIOS, VISIBLE, PARSE) if set(wanted) <= set(chosen)]
    kept = {chosen: _record(name, chosen, confined=True) for chosen in sizes}
    for path in [*kept.values(), *(() if sandbox else (_record(name, chosen) for chosen in sizes))]:
        if path.exists():
            told("on record from an earlier run")
            document: dict[str, Any] = json.loads(path.read_text())
            return document
    chosen = min(kept, key=len)  # no less than what is wanted, in one of three sizes
    with contextlib.ExitStack() as stack:
        shared = shared or Shared.start(stack.enter_context(Session.open()))
        observation = Observation(shared, project, student, content_digest(project), _checked(told, sandbox), sandbox)
        seen = _unless_ended(lambda: observation.run(chosen, seed(student)), sandbox)
    evidence = {"version": VERSION, "student": student, "digest": name, **seen}
    cached = _record(name, chosen, confined=sandbox is not None)
    cached.parent.mkdir(parents=True, exist_ok=True)
    beside = cached.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(evidence, indent=1))
    beside.rename(cached)
    return evidence


def _checked(told: Told, sandbox: Sandbox | None) -> Told:
    """Let progress end where the submission has been ended."""

    def tell(line: str) -> None:
        if sandbox:
            sandbox.check()
        told(line)

    return tell


def _unless_ended(observe: Callable[[], dict[str, Any]], sandbox: Sandbox | None) -> dict[str, Any]:
    """Observe; whatever went wrong after a submission was ended went wrong because of that."""
    try:
        return observe()
    finally:
        if sandbox:
            sandbox.check()


def _record(name: str, chosen: Sequence[str], *, confined: bool = False) -> Path:
    size = "" if chosen == SCENARIOS else f".{len(chosen)}"
    return STATE / "evidence" / f"{name}{size}{'.confined' if confined else ''}.json"


def digest(project: Path, student: str) -> str:
    """Return the name that the evidence on this project has in the cache."""
    program = hashlib.sha256()
    for part in PROGRAM:
        paths = sorted((ROOT / part).rglob("*")) if (ROOT / part).is_dir() else [ROOT / part]
        for path in paths:
            if path.is_file() and not IGNORED(str(path.parent), list(path.relative_to(ROOT).parts)):
                program.update(path.read_bytes())
    parts = [str(VERSION), student, content_digest(project), program.hexdigest(), seed(student)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def seed(student: str) -> str:
    """Return the seed of a student's months in grading: unlike any that they practise with, or another's."""
    path = STATE / "grading-secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(secrets.token_hex(32))
        beside.chmod(0o600)
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return hmac.new(path.read_text().encode(), student.encode(), "sha256").hexdigest()
