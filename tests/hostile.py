"""What the hostile suite tries: read from the attacks themselves, without running them.

Contract: `probes` are the functions of tests/submissions/hostile/probes.py, `whole` the submissions beside it, `sql`
what test_hostile_sql tries. `python -m tests.hostile` writes them into docs/attacks.md, below what is for people.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from autograder.paths import ROOT

HOSTILE = ROOT / "tests" / "submissions" / "hostile"
PROBES = HOSTILE / "probes.py"
SQL = ROOT / "tests" / "integration" / "test_hostile_sql.py"
PAGE = ROOT / "docs" / "attacks.md"
BELOW = "<!-- From here on `python -m tests.hostile` writes. -->\n"


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


def sql() -> dict[str, list[str]]:
    """Return the names of what is tried in SQL, by the name of the table that they are in."""
    found = {}
    for node in ast.parse(SQL.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            (name,) = (one.id for one in node.targets if isinstance(one, ast.Name))
            found[name] = [str(ast.literal_eval(key)) for key in node.value.keys if key]
    return found


def tables() -> str:
    """Return the part of the page that is written by this program."""
    tried = sql()
    lines = [
        "## Small attacks, by a task",
        "",
        "Each is made in a sandbox, where it gets nothing, and without one, the control, where it gets what it wants.",
        "",
        "| Name | What it tries | Held by |",
        "|---|---|---|",
        *(f"| `{name}` | {one.tries} | {one.held_by} |" for name, one in probes().items()),
        "",
        "## Whole submissions",
        "",
        "| Name | What it tries | Held by | What is seen |",
        "|---|---|---|---|",
        *(f"| `{name}` | {told['Tries']} | {told['Held by']} | {told['Seen']} |" for name, told in whole().items()),
        "",
        "## In SQL",
        "",
        "| What | As the student's user | The control |",
        "|---|---|---|",
        *(f"| {what} | refused | the administrator may |" for what in tried["FORBIDDEN"]),
        *(f"| have who looks at a table run code, by {what} | no power is had | it is, by the administrator's look |"
          for what in tried["TRAPS"]),
        *(f"| hold up who looks, by {what} | its submission is ended | it goes on, where nobody watches |"
          for what in tried["STAYS"]),
        *(f"| end who looks, by a view that {what} | its submission is ended | the session is ended |"
          for what in tried["ENDINGS"]),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def page() -> str:
    """Return the whole page, with what stands there for people."""
    return PAGE.read_text().partition(BELOW)[0] + BELOW + "\n" + tables()


if __name__ == "__main__":
    PAGE.write_text(page())
