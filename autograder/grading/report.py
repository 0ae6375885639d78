"""What a class shows: which checks are hard, which mistakes are made, and what a teacher should look at.

Contract: `report` makes a document for programs from records, and `page` an HTML page of it. That two submissions are
alike is a hint to look at both, never a verdict.
"""

import keyword
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from autograder.checks.feedback import OUTCOMES
from autograder.checks.traps import TRAPS
from autograder.grading.feedback import templates
from autograder.grading.records import Record
from autograder.manifest import Course

Report = dict[str, Any]

BIN = 10
"""Points in a bar of the distribution."""

SHINGLE = 8
"""Tokens in a row that are compared."""

ALIKE = 0.9
"""Share of such rows in common, of all that two files have, from which on they are told."""

FEWEST_SHINGLES, FEWEST_MONTHS = 40, 3
"""Less than this says nothing."""

_REPORTED = re.compile(r"^\|\s*(\d{4}-\d{2})\s*\|\s*([\d,._ ]+?)\s*\|", re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<text>[A-Za-z]{0,3}(?:
        \"\"\"(?:[^"\\]++|\\.|"(?!""))*+(?:\"\"\"|\\?\Z)
        |\'\'\'(?:[^'\\]++|\\.|'(?!''))*+(?:\'\'\'|\\?\Z)
        |"(?:[^"\\\n]++|\\.)*+(?:"|(?=\n)|\\?\Z)
        |'(?:[^'\\\n]++|\\.)*+(?:'|(?=\n)|\\?\Z)))
    |(?P<name>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*+)
    |(?P<number>[.]?[0-9][A-Za-z_0-9.]*+)
    |(?P<sign>[*]{2}=?|//=?|<<=?|>>=?|->|[.]{3}|[-+*/%@&|^=<>!:]=|[^\s\w])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
"""Python's tokens, also of a program that is none. The tokens of its own `tokenize` are others from 3.12 on."""


def report(
    records: Sequence[Record], course: Course, code: Mapping[str, str], reports: Mapping[str, str], given: str = ""
) -> Report:
    """Describe a class.

    Parameters
    ----------
    records
        One for each student.
    course
        The manifest.
    code, reports
        By student, the DAG file and ASSIGNMENT_REPORT.md, where there are such.
    given
        Code that everyone was given.

    Returns
    -------
    dict
        `students`; `outcomes`: for each the students; `scores`: `mean`, `median`, `passed` and `bins` (first point,
        number); `checks`: for each, hardest first, how many of each verdict; `traps`: the most frequent first, with
        checks and students; `seconds` by student; `grid`: for each student the verdict of each check; `alike`: pairs
        with `why` and, for code, `share`.
    """
    scores = [one["score"] for one in records if one["score"] is not None]
    grid = {one["student"]: {check["id"]: check["verdict"] for check in one["checks"]} for one in records}
    checks = []
    for check in course.checks:
        verdicts = Counter(verdict[check.id] for verdict in grid.values() if check.id in verdict)
        counts: dict[str, Any] = {name: verdicts[name] for name in OUTCOMES}
        checks.append({"id": check.id, "title": check.title, **counts})
    outcomes: dict[str, list[str]] = {}
    for one in records:
        outcomes.setdefault(one["outcome"], []).append(one["student"])
    return {
        "students": len(records),
        "outcomes": outcomes,
        "scores": {
            "mean": statistics.mean(scores) if scores else None,
            "median": statistics.median(scores) if scores else None,
            "passed": sum(score >= course.pass_points for score in scores),
            "bins": [
                [start, sum(min(score // BIN, 100 // BIN - 1) * BIN == start for score in scores)]
                for start in range(0, 100, BIN)
            ],
        },
        "checks": sorted(checks, key=lambda one: (one["pass"], -one["not_yet"])),
        "traps": _traps(records),
        "seconds": {one["student"]: round(sum(one["seconds"].values()), 1) for one in records},
        "grid": grid,
        "alike": [*_alike_code(code, given), *_alike_answers(reports)],
    }


def page(told: Report, course: Course) -> str:
    """Return a report as an HTML page."""
    return templates(html=True).get_template("report.html.j2").render(told=told, course=course, words=OUTCOMES)


def _traps(records: Sequence[Record]) -> list[dict[str, Any]]:
    texts = {one.name: one.text for one in TRAPS}
    found: dict[str, dict[str, set[str]]] = {}
    for one in records:
        for check in one["checks"]:
            if check["trap"]:
                entry = found.setdefault(check["trap"], {"checks": set(), "students": set()})
                entry["checks"].add(check["id"])
                entry["students"].add(one["student"])
    told = [
        {"trap": name, "text": texts.get(name, ""), **{key: sorted(value) for key, value in entry.items()}}
        for name, entry in found.items()
    ]
    return sorted(told, key=lambda one: (-len(one["students"]), one["trap"]))


def shingles(code: str) -> set[int]:
    """Return the rows of tokens in a program, as numbers; its own names and texts, and its comments, are left out."""
    tokens = list(_tokens(code))
    return {hash(tuple(tokens[start : start + SHINGLE])) for start in range(len(tokens) - SHINGLE + 1)}


def _tokens(code: str) -> Iterator[str]:
    for token in _TOKEN.finditer(code):
        kind, told = token.lastgroup, token[0]
        if kind == "name" and not keyword.iskeyword(told):
            yield "name"
        elif kind == "text":
            yield "text"
        elif kind != "comment":
            yield told


def _alike_code(code: Mapping[str, str], given: str) -> Iterator[dict[str, Any]]:
    everyones = shingles(given)
    own = {student: shingles(text) - everyones for student, text in code.items()}
    own = {student: found for student, found in own.items() if len(found) >= FEWEST_SHINGLES}
    for one, other in combinations(sorted(own), 2):
        fewer, more = sorted((len(own[one]), len(own[other])))
        if fewer < ALIKE * more:  # no more than the fewer can be common
            continue
        common = len(own[one] & own[other])
        if (share := common / (fewer + more - common)) >= ALIKE:
            why = "The code is nearly the same, whatever names and comments say."
            yield {"students": [one, other], "why": why, "share": round(share, 3)}


def _alike_answers(reports: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    answers = {student: frozenset(_REPORTED.findall(text)) for student, text in reports.items()}
    answers = {student: found for student, found in answers.items() if len(found) >= FEWEST_MONTHS}
    for one, other in combinations(sorted(answers), 2):
        if answers[one] == answers[other]:
            why = "Both reports have the same row counts, though each student practises with rows of their own."
            yield {"students": [one, other], "why": why, "share": None}
