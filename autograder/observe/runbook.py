"""The commands of a runbook, run as they are typed.

Contract: `commands` finds the first `airflow dags trigger …` and the first `airflow backfill create …` in a
runbook's code, with an `airflow dags pause …` that stands before it there. `try_out` runs them with bash in the project
folder while the DAG is paused, and tells which runs Airflow made of them; these do not begin, and are gone afterwards.
"""

import re
from pathlib import Path
from typing import Any

from autograder.observe import programs
from autograder.observe.stage import Part, Stage

KINDS = {"trigger": "airflow dags trigger", "backfill": "airflow backfill create"}

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)[^\n]*\n(.*?)^ {0,3}\1", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_PAUSING = re.compile(r"^[ \t]*(airflow[ \t]+dags[ \t]+(un)?pause\b.*)$", re.MULTILINE)
_INDENTED = re.compile(r"^(?: {4}|\t)(.+)$", re.MULTILINE)


def commands(runbook: str) -> dict[str, str | None]:
    """Return the first command of each kind in the text's code that is no dry run, with its continuation lines."""
    fences = [(match.start(), match[2]) for match in _FENCE.finditer(runbook)]
    # What is left between the fences keeps its place in the text.
    prose = _FENCE.sub(lambda match: " " * len(match[0]), runbook)
    spans = [(match.start(), match[2]) for match in _INLINE.finditer(prose)]
    indented = [(match.start(), match[1]) for match in _INDENTED.finditer(prose)]
    code = [text for _, text in sorted(fences + spans + indented)]
    return {kind: next(filter(None, (_command(text, words) for text in code)), None) for kind, words in KINDS.items()}


def _command(code: str, words: str) -> str | None:
    pattern = r"(?<![\w./-])" + r"\s+".join(words.split()) + r"\b(?:[^\n\\]|\\[^\n]|\\\n)*"
    # A comment that names the command is no command.
    lines = "\n".join("" if line.lstrip().startswith("#") else line for line in code.splitlines())
    for match in re.finditer(pattern, lines):
        if "--dry-run" not in match[0]:
            before = list(_PAUSING.finditer(lines, 0, match.start()))
            return "\n".join([*([before[-1][1]] if before and not before[-1][2] else []), match[0].strip()])
    return None


def try_out(stage: Stage, runbook: str | None, project: Path) -> Part:
    """Run a runbook's commands.

    Returns
    -------
    dict
        For `trigger` and `backfill`: `command`, or None where the runbook has none; its exit `code`, None where it
        did not end in time; its `output`, the end of it; how many `runs` of the DAG it made; whether the runbook has
        the DAG `paused` first; for `backfill` also the `dates` of its runs.
    """
    found = commands(runbook or "")
    stage.clear()
    stage.api.pause(stage.dag_id, paused=True)
    try:
        trigger = _run(stage, found["trigger"], project)
        stage.clear()
        backfill = _run(stage, found["backfill"], project)
        dates = sorted(str(run["logical_date"]) for run in stage.api.runs(stage.dag_id))
    finally:
        stage.clear()
    return {"trigger": trigger, "backfill": {**backfill, "dates": dates}}


def _run(stage: Stage, command: str | None, project: Path) -> dict[str, Any]:
    if command is None:
        return {"command": None, "code": None, "output": "", "runs": 0, "paused": False}
    if pauses := _PAUSING.match(command) is not None:
        stage.api.pause(stage.dag_id, paused=False)
    with stage.airflow.typing() as added:
        code, output = programs.run(stage.airflow, ["bash", "-c", command], cwd=project, env=added)
    if code is None:
        output = f"The command did not end within {programs.LIMIT:.0f} s."
    paused = pauses and bool((stage.api.dag(stage.dag_id) or {}).get("is_paused"))
    stage.api.pause(stage.dag_id, paused=True)
    return {
        "command": command,
        "code": code,
        "output": output.replace("\r\n", "\n"),
        "runs": len(stage.api.runs(stage.dag_id)),
        "paused": paused,
    }
