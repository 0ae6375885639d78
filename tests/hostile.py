"""What the hostile suite tries: read from the attacks themselves, without running them.

Contract: `probes` are the functions of tests/submissions/hostile/probes.py, `whole` the submissions beside it.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from autograder.paths import ROOT

HOSTILE = ROOT / "tests" / "submissions" / "hostile"
PROBES = HOSTILE / "probes.py"


@dataclass(frozen=True)
class Probe:
    """A small attack: what it tries, what holds it, and whether only root could without."""

    tries: str
    held_by: str
    as_root: bool


def probes() -> dict[str, Probe]:
    """Return each small attack by its name."""
    found = {}
    for node in ast.parse(PROBES.read_text()).body:
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "attack":
                assert isinstance(node, ast.FunctionDef)
                told = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
                tries = (ast.get_docstring(node) or "").rstrip(".")
                assert tries, node.name
                found[node.name] = Probe(tries, ast.literal_eval(call.args[0]), bool(told.get("as_root")))
    return found


def whole() -> dict[str, dict[str, str]]:
    """Return what each whole submission says: `Tries`, `Held by`, `Seen`, by its name."""
    found = {}
    for path in sorted([*HOSTILE.glob("*.py"), *HOSTILE.glob("*/dags/taxi_pipeline.py")]):
        if path != PROBES:
            name = path.stem if path.parent == HOSTILE else path.parents[1].name
            found[name] = _told(path)
    return found


def _told(path: Path) -> dict[str, str]:
    told: dict[str, str] = {}
    for paragraph in (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines():
        key, colon, text = paragraph.partition(": ")
        if colon and key in ("Tries", "Held by", "Seen"):
            told[key] = text.strip()
        elif told and paragraph.strip():
            told[list(told)[-1]] += f" {paragraph.strip()}"
    return told
