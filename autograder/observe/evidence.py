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
import time
from pathlib import Path
from typing import Any

from autograder.airflow_local.local import Shared, start
from autograder.airflow_local.session import Session
from autograder.observe import scenarios
from autograder.observe.project import IGNORED, content_digest
from autograder.paths import ROOT, STATE

VERSION = 1
"""Of the document's form."""

PROGRAM = (
    "autograder/airflow_api.py",
    "autograder/airflow_local",
    "autograder/observe",
    "include/dbt_project",
    "requirements.lock",
)
"""What the evidence depends on, beside the submission: files, and folders with all that git would keep in them."""


def observed(
    project: Path, student: str, *, shared: Shared | None = None, told: scenarios.Told = lambda _: None
) -> dict[str, Any]:
    """Return the evidence on a project folder.

    Parameters
    ----------
    project
        The folder with `dags/` and `include/dbt_project/`, as `write_project` makes it.
    student
        Whose it is.
    shared
        What its Airflow is to share with others; it gets a session of its own otherwise.
    told
        Takes lines of progress.

    Returns
    -------
    dict
        `version`, `student`, `parsed`; `source`: for each month `rows` and `in_month`; and, where the DAG was
        found, `backfill`, `backfill_again`, `cut_load`; `seconds` for each part.
    """
    name = digest(project, student)
    cached = STATE / "evidence" / f"{name}.json"
    if cached.exists():
        told("on record from an earlier run")
        document: dict[str, Any] = json.loads(cached.read_text())
        return document
    told("starting Airflow")
    with contextlib.ExitStack() as stack:
        shared = shared or Shared.start(stack.enter_context(Session.open()))
        seen = _observe(shared, project, student, told)
    evidence = {"version": VERSION, "student": student, "digest": name, **seen}
    cached.parent.mkdir(parents=True, exist_ok=True)
    beside = cached.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(evidence, indent=1))
    beside.rename(cached)
    return evidence


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


def _observe(shared: Shared, project: Path, student: str, told: scenarios.Told) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    started = time.monotonic()

    def done(part: str) -> None:
        nonlocal started
        seconds[part] = round(time.monotonic() - started, 1)
        started = time.monotonic()

    local = start(
        shared, project, name=f"observe_{secrets.token_hex(4)}", student=student, seed=seed(student),
        components=("scheduler", "api-server"), retry_delay=scenarios.RETRY_DELAY,
    )  # fmt: skip
    try:
        done("start")
        told("reading the DAG files")
        evidence["parsed"] = scenarios.parse(local)
        evidence["source"] = {
            month: {"rows": facts.rows, "in_month": facts.in_month} for month, facts in local.source.months.items()
        }
        done("parse")
        if scenarios.DAG_ID in evidence["parsed"]["dags"]:
            evidence["backfill"] = scenarios.backfill(local, told=lambda line: told(f"backfill: {line}"))
            done("backfill")
            if evidence["backfill"]["in_time"]:
                evidence["backfill_again"] = scenarios.backfill(
                    local, again=True, told=lambda line: told(f"second backfill: {line}")
                )
                done("backfill_again")
            loaded = (evidence["backfill"]["tables"]["raw_trips"] or {"rows": 0})["rows"]
            if evidence["backfill"]["in_time"] and loaded:
                evidence["cut_load"] = scenarios.cut_load(local, told=lambda line: told(f"cut load: {line}"))
                done("cut_load")
    finally:
        local.stop()
    return {**evidence, "seconds": seconds}
