"""Observe submissions of the corpus, and keep what was seen, so that every test run can judge it.

Contract: `python -m tests.record NAME…` records these, `--stale` those whose recording is missing or does not fit any
more, and `--all` every one. A recording is `submissions/recorded/NAME.json.gz`: the evidence, with the digests of what
it depends on, `submission` (what is handed in) and `observing` (the programs and data that it is put through, without
their comments). `stale` says for each submission what does not fit.

A change of `observing` makes all recordings stale, though many a change there cannot alter what is seen. Then
`python -m tests.record --unchanged` observes the fixed sample anew: where each verdict and its words are those on
record, the recordings are taken to fit the new programs; where one differs, they stay stale.
"""

import argparse
import ast
import contextlib
import gzip
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.checks import judge
from autograder.observe.evidence import SCENARIOS, VERSION
from autograder.observe.observation import Observation
from autograder.observe.project import IGNORED, content_digest
from autograder.paths import ROOT
from tests.corpus import FOLDER, REFERENCE, STUDENT, SUBMISSIONS

RECORDED = FOLDER / "recorded"
UNRECORDED = FOLDER / "unrecorded.txt"
"""Names, one a line, of submissions that nobody has observed yet: what they say that they lose is not proved."""

SEED = "recordings"
"""What the months that all are observed with are made from: the same on every machine."""

OBSERVING = (
    "autograder/airflow_local/config",
    "autograder/airflow_local/months.py",
    "autograder/airflow_local/source.py",
    "autograder/observe",
    "include/dbt_project",
)
"""What decides what is seen of a submission: scenarios, cluster policy, months, the source, dbt's models."""

SAMPLE = ("reference", "starter", "failures_are_logged")
"""Observed anew in each integration run: every scenario, and each way in which one can end."""

BESIDE_RUNS = ("parse", "runbook", "own_tests")
"""The scenarios that look at more than dags/ and include/."""

AT_ONCE = 2
"""As many as have two cores' work."""


def observing() -> str:
    """Return a digest of what every submission is put through; comments and layout of programs don't count."""
    content = hashlib.sha256()
    for part in OBSERVING:
        paths = sorted((ROOT / part).rglob("*")) if (ROOT / part).is_dir() else [ROOT / part]
        for path in paths:
            relative = path.relative_to(ROOT)
            if path.is_file() and not IGNORED("", list(relative.parts)):
                text = _program(path.read_text()) if path.suffix == ".py" else path.read_text()
                content.update(f"{relative}\0{text}\0".encode())
    return content.hexdigest()[:32]


def _program(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [one for one in node.body if not _is_text(one)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def read(name: str) -> dict[str, Any]:
    """Return a recording: `submission`, `observing`, `evidence`."""
    document: dict[str, Any] = json.loads(gzip.decompress((RECORDED / f"{name}.json.gz").read_bytes()))
    return document


def write(name: str, document: dict[str, Any]) -> None:
    """Keep a recording; equal ones are equal files."""
    RECORDED.mkdir(exist_ok=True)
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    (RECORDED / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def unrecorded() -> list[str]:
    """Return the submissions that are listed as not observed yet."""
    return UNRECORDED.read_text(encoding="utf-8").split()


def stale() -> dict[str, str]:
    """Return the submissions whose recording does not fit, or is missing and not listed so, and why."""
    now, reasons = observing(), {}
    for name, submission in SUBMISSIONS.items():
        try:
            recorded = read(name)
        except FileNotFoundError:
            if name not in unrecorded():
                reasons[name] = "is not recorded"
            continue
        if recorded["submission"] != submission.digest():
            reasons[name] = "has changed"
        elif recorded["observing"] != now:
            reasons[name] = "was observed by other programs"
    return reasons


def observe(name: str, shared: Shared) -> dict[str, Any]:
    """Observe one submission now.

    What its runs show depends on dags/ and include/ alone: one that has the reference's is put only through the rest,
    and has the other parts of the reference's recording.
    """
    submission = SUBMISSIONS[name]
    wanted: Sequence[str] = SCENARIOS
    kept: dict[str, Any] = {}
    if submission is not REFERENCE and submission.runs_as_the_reference():
        wanted, kept = BESIDE_RUNS, read(REFERENCE.name)["evidence"]
    with tempfile.TemporaryDirectory(prefix="course-corpus-") as folder:
        project = submission.write(Path(folder))
        observation = Observation(shared, project, STUDENT, content_digest(project), lambda _: None)
        seen = observation.run(wanted, SEED)
    evidence = {**kept, "version": VERSION, "student": STUDENT, "digest": submission.digest(), **seen}
    return without_places(evidence)


def without_places(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return evidence that does not say where on this machine the clone, Python and its user are."""
    text = json.dumps(evidence)
    for place, name in ((ROOT, "/course"), (sys.base_prefix, "/python"), (Path.home(), "/home")):
        text = text.replace(f"{place}/", f"{name}/")
    document: dict[str, Any] = json.loads(text)
    return document


def verdicts(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the verdicts on evidence, without what differs from one time to the next: what was seen, and logs."""
    return [{key: value for key, value in asdict(one).items() if key not in ("seen", "log")} for one in judge(evidence)]


def record(names: Iterable[str], jobs: int = AT_ONCE) -> list[str]:
    """Observe and keep these, `jobs` at a time in one session; return those that could not be."""
    names, now, began = list(names), observing(), time.monotonic()
    failed: list[str] = []

    def one(name: str) -> str:
        try:
            evidence = observe(name, shared)
        except Exception as error:
            failed.append(name)
            return f"{name}: {type(error).__name__}: {error}"
        write(name, {"submission": SUBMISSIONS[name].digest(), "observing": now, "evidence": evidence})
        return f"{name}: {sum(evidence['seconds'].values()):.0f} s"

    # Those that have parts of the reference's recording come after it.
    later = [name for name in names if name != REFERENCE.name and SUBMISSIONS[name].runs_as_the_reference()]
    with Session.open() as session, ThreadPoolExecutor(jobs) as pool:
        shared = Shared.start(session)
        for group in ([name for name in names if name not in later], later):
            for done, future in enumerate(as_completed([pool.submit(one, name) for name in group]), 1):
                print(f"{time.monotonic() - began:5.0f} s  {done} of {len(group)}  {future.result()}", flush=True)
    UNRECORDED.write_text("".join(f"{name}\n" for name in unrecorded() if name not in names or name in failed))
    return failed


def unchanged(jobs: int = AT_ONCE) -> list[str]:
    """Observe the sample anew; return those whose verdicts differ. Where none does, all recordings fit again."""
    with Session.open() as session, ThreadPoolExecutor(jobs) as pool:
        shared = Shared.start(session)
        seen = list(pool.map(lambda name: observe(name, shared), SAMPLE))
    differ = [name for name, one in zip(SAMPLE, seen, strict=True) if verdicts(one) != verdicts(read(name)["evidence"])]
    if not differ:
        now = observing()
        for name in SUBMISSIONS:
            with contextlib.suppress(FileNotFoundError):  # it is new
                write(name, read(name) | {"observing": now})
    return differ


def main(arguments: Sequence[str] | None = None) -> int:
    """Record what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.record", description=str(__doc__).partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*SUBMISSIONS, []], metavar="NAME", help="a submission")
    parser.add_argument("--stale", action="store_true", help="those whose recording is missing or does not fit")
    parser.add_argument("--all", action="store_true", help="every one")
    parser.add_argument("--unchanged", action="store_true", help="show by the sample that all recordings still fit")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help=f"at a time, {AT_ONCE} unless given")
    asked = parser.parse_args(arguments)
    if asked.unchanged:
        differ = unchanged(asked.jobs)
        print(f"other verdicts: {', '.join(differ)}" if differ else "all recordings fit")
        return bool(differ)
    names = list(SUBMISSIONS) if asked.all else list(asked.names)
    if asked.stale:
        names += [name for name in [*stale(), *unrecorded()] if name not in names]
    failed = record(names, asked.jobs)
    print(f"could not be observed: {', '.join(failed)}" if failed else f"{len(names)} recorded")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
