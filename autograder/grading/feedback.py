"""A student's feedback as a page and as Markdown: verdicts, their own runs and rows, and the way on.

Contract: `page` returns a self-contained HTML page without scripts, `markdown` the same words for a pull request. Both
come from a record and its evidence alone; no check's code and no other student is in them. What a student wrote
(names, commands, logs) is shown as text: escaped, cut, without control characters and without marks that reverse it.
"""

import functools
import graphlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from autograder.checks.feedback import GRADED, OUTCOMES, next_step
from autograder.checks.rules import TABLES
from autograder.checks.verdict import Verdict
from autograder.grading.records import Record
from autograder.manifest import Check, Course

PAGE, MARKDOWN = "feedback.html", "feedback.md"
MOST_RUNS, MOST_TASKS, MOST_CHARACTERS = 40, 30, 3000

SCENARIOS = {
    "january": "A run of January",
    "other_month": "A run of another month",
    "busy_source": "A source that is busy twice",
    "unpublished": "A month that is not published",
    "damaged": "A damaged file",
    "failing_tests": "A month that fails its tests",
    "manual_run": "A run without a logical date",
    "backfill": "The backfill",
    "backfill_again": "The backfill again",
    "cut_load": "A load whose connection is cut",
    "shared": "On the shared Airflow",
}
"""What a run was put through, in the order in which they are shown."""

_UNSHOWN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # of terminals
    r"|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"  # of directions, and of no text
)
_IDS = re.compile(r'(?:id|aria-labelledby)="(?:[td]\d+ ?)+"')
_PARTS = re.compile(r"`[^`|]+`|[^\s`|]+|[\s`|]")
"""Code, words, and what is between them."""

_LINKED = re.compile(r"//|www\.|(?:mailto|xmpp):|@\w|#\d|gh-\d", re.IGNORECASE)
"""What GitHub and nbgrader make a link by itself, or GitHub a call: addresses, names, numbers of issues."""

_AROUND = "([{<'\".,:;!?>}])"
_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BEGINNING = re.compile(r"\A(\d*)([#>+=.)-])")


def page(record: Record, evidence: Mapping[str, Any] | None, course: Course) -> str:
    """Return a student's feedback as an HTML page.

    Parameters
    ----------
    record
        As docs/grading.md describes it.
    evidence
        What was seen of the submission; None where it was not observed.
    course
        The manifest.
    """
    return templates(html=True).get_template(f"{PAGE}.j2").render(_view(record, evidence, course))


def markdown(record: Record, evidence: Mapping[str, Any] | None, course: Course) -> str:
    """Return a student's feedback as Markdown, for GitHub."""
    return templates(html=False).get_template(f"{MARKDOWN}.j2").render(_view(record, evidence, course))


def shown(text: object, most: int = MOST_CHARACTERS) -> str:
    """Return a student's text as it is shown: without what a browser or a terminal would obey, and not too long."""
    whole = str(text)
    if len(whole) <= most:
        return _UNSHOWN.sub("", whole)
    head, tail = whole[: most // 3], whole[-most // 3 :]
    left_out = len(whole) - len(head) - len(tail)
    return f"{_UNSHOWN.sub('', head)}\n[… {left_out:,} characters left out …]\n{_UNSHOWN.sub('', tail)}"


def inline(text: object) -> str:
    """Return text for a line of Markdown, in which nothing counts as markup but code between backticks.

    What would become a link by itself is made code: it is shown as it is.
    """
    return _inline(str(text))


@functools.lru_cache(2048)  # a class has many of the same texts
def _inline(text: str) -> str:
    line = " ".join(shown(text).split())
    return _BEGINNING.sub(r"\1\\\2", "".join(map(_as_text, _PARTS.findall(line))))


def _as_text(part: str) -> str:
    if part.startswith("`") and len(part) > 1:
        return part
    if _LINKED.search(part) and (core := part.strip(_AROUND)):
        before, _, after = part.partition(core)
        return f"{_as_text(before)}`{core}`{_as_text(after)}"
    return _MARKS.sub(r"\\\g<0>", part.replace("&", "&amp;").replace("<", "&lt;"))


def fenced(text: object) -> str:
    """Return text as a block of code in Markdown, with a fence that it cannot close."""
    told = shown(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", told)), default=0))
    return f"{fence}text\n{told}\n{fence}"


@functools.cache
def templates(*, html: bool) -> jinja2.Environment:
    """Return the templates of pages, in which all is escaped, or of Markdown, in which filters do that."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=html, trim_blocks=True,  # noqa: S701
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters |= {"shown": shown, "inline": inline, "fenced": fenced}
    return made


def _view(record: Record, evidence: Mapping[str, Any] | None, course: Course) -> dict[str, Any]:
    verdicts = {one["id"]: Verdict(**one) for one in record["checks"]}
    judged = verdicts if evidence else {}  # else all wait for the same, which is told once
    tiers = []
    for tier in course.tiers:
        checks = [_told(verdicts[one.id], one) for one in course.checks_of(tier.id) if one.id in judged]
        tiers.append({"title": tier.title, **record["tiers"][tier.id], "checks": checks})
    return {
        "record": record,
        "course": course,
        "tiers": tiers,
        "passed": sum(one.verdict == "pass" for one in verdicts.values()),
        "enough": record["score"] is not None and record["score"] >= course.pass_points,
        "way_on": _way_on(verdicts, course),
        "graph": _graph(evidence),
        "runs": _runs(evidence),
        "rows": _rows(evidence),
        "tables": TABLES,
    }


def _told(verdict: Verdict, check: Check) -> dict[str, Any]:
    return {
        "check": check,
        "verdict": verdict,
        "outcome": OUTCOMES[verdict.verdict],
        "next": next_step(verdict, check, GRADED),
        "hint": check.hints[0] if verdict.verdict == "not_yet" else "",
        "chapter": f"{check.chapter.id}, {check.chapter.title} ({check.chapter.file})",
    }


def _way_on(verdicts: Mapping[str, Verdict], course: Course) -> str:
    """Say in a sentence what to do first."""
    lost = [one for one in course.checks if one.id in verdicts and verdicts[one.id].verdict == "not_yet"]
    if lost:
        return f"Begin with {lost[0].id}: {lost[0].title} Its chapter is {lost[0].chapter.id}, {lost[0].chapter.title}."
    if verdicts and all(one.verdict == "pass" for one in verdicts.values()):
        return "All checks pass. Compare yours with the reference solution: ./course solution."
    return "Hand in again, or ask your teacher."


def _graph(evidence: Mapping[str, Any] | None) -> Markup:
    """Return a picture of the DAG, with the states of the run of January where there was one."""
    dag = evidence and evidence["parsed"]["dags"].get(evidence["dag_id"])
    if not evidence or not dag or not 0 < len(dag["tasks"]) <= MOST_TASKS:
        return Markup()
    from autograder.teaching.pictures import draw_graph

    tasks = dag["tasks"]
    upstream = {task: [one for one in tasks if task in tasks[one]["downstream"]] for task in tasks}
    order = graphlib.TopologicalSorter(upstream).static_order()
    downstream = {shown(task, 60): [shown(one, 60) for one in tasks[task]["downstream"]] for task in order}
    runs = (evidence.get("january") or {}).get("runs") or []
    states = {shown(one["task_id"], 60): one["state"] for one in runs[0]["tasks"]} if runs else None
    html = draw_graph(shown(evidence["dag_id"], 60), downstream, states).html
    # Pictures are numbered on and on; here is one, and the same work gives the same page.
    return Markup(_IDS.sub(lambda ids: re.sub(r"\d+", "1", ids[0]), html))  # noqa: S704 - it is escaped


def _runs(evidence: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the grid of runs: columns of tasks, and a row for each run with its states."""
    from autograder.teaching.shown import state_text

    rows: list[list[str]] = []
    columns: list[str] = []
    for scenario, name in SCENARIOS.items():
        for run in ((evidence or {}).get(scenario) or {}).get("runs") or []:
            states = {one["task_id"]: one["state"] for one in run["tasks"]}
            columns += [task for task in states if task not in columns and len(columns) < MOST_TASKS]
            month = (run["logical_date"] or "no date")[:7]
            rows.append([name, month, state_text(run["state"]), *(state_text(states.get(task)) for task in columns)])
    short = [row + ["…"] * (3 + len(columns) - len(row)) for row in rows[:MOST_RUNS]]
    return {"columns": [shown(one, 60) for one in columns], "rows": short, "left_out": max(0, len(rows) - MOST_RUNS)}


def _rows(evidence: Mapping[str, Any] | None) -> Sequence[tuple[str, int, list[int]]]:
    """Return for each month the trips that its file has in it, and how many each table had after the backfill."""
    backfill = (evidence or {}).get("backfill")
    if not evidence or not backfill:
        return []
    counts = [(backfill["tables"][table] or {"months": {}})["months"] for table in TABLES]
    return [
        (month, evidence["source"][month]["in_month"], [one.get(month, 0) for one in counts])
        for month in sorted(evidence["source"])
    ]
