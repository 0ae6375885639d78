"""Verdicts as text that a student reads, in a notebook or a terminal.

Contract: the same verdict gives the same text, without colour, so it reads the same in light and dark themes,
in a log and aloud. A verdict is told in this order: the outcome as a symbol and a word, what this submission
did, what must hold, what was looked at, what was expected and seen, the likely cause, what to do next, and last the
end of the log. A part that has nothing to say is left out.
"""

import functools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.checks.report import progress, so_far
from autograder.checks.verdict import Outcome, Verdict
from autograder.manifest import HINTS, Check, Course

OUTCOMES: dict[Outcome, str] = {
    "pass": "✓ PASS",
    "not_yet": "✗ NOT YET",
    "waiting": "… WAITING",
    "could_not_check": "! COULD NOT CHECK",
}
"""The outcome's symbol and word."""

AT_GRADING = "○ AT GRADING"
"""The same of a check that is not run before grading."""

WIDTH = 100
"""Columns of a line."""

HEAD, TAIL = 500, 1500
"""Characters that are shown of the beginning and the end of a long text; a log says most at its end."""

LOG_LINES = 15
"""Lines that are shown of a log."""

_LABEL = 17


AT_GRADING_AGAIN = "then hand in again: this check is run at grading."
"""What a student does after a change, for a check that is not run before grading."""


@dataclass(frozen=True)
class Place:
    """Where the text is read, and so what a student does there.

    In the texts `{id}` stands for the check's id and `{number}` for the hint's number.
    """

    again: str
    hint: str


NOTEBOOK = Place(again="run the cell that writes it, then this cell.", hint='hint("{id}", {number})')
TERMINAL = Place(again="then run ./course check {id}", hint="./course hint {id} {number}")
GRADED = Place(
    again="and see with ./course check {id} whether it holds; then hand in again.", hint="./course hint {id} {number}"
)


def render(verdict: Verdict, check: Check, place: Place) -> str:
    """Tell one verdict.

    Parameters
    ----------
    verdict
        What the check said.
    check
        The same check in the manifest.
    place
        `NOTEBOOK` or `TERMINAL`.
    """
    lines = [f"{OUTCOMES[verdict.verdict]} · {check.id} · {verdict.earned} of {verdict.points} points"]
    if verdict.message:
        lines += _wrap(verdict.message, WIDTH)
    lines += ["", *_field("What must hold", check.title)]
    if verdict.verdict in ("pass", "not_yet"):
        lines += _field("Looked at", "\n".join(filter(None, [check.looked_at, verdict.where])))
        lines += _field("Expected", _cut(verdict.expected))
        lines += _field("Seen", _cut(verdict.seen))
        lines += _field("Likely cause", verdict.cause or "")
    lines += _field("Next", next_step(verdict, check, place))
    if verdict.verdict == "not_yet":
        lines += _field("Hint", place.hint.format(id=check.id, number=1))
        lines += _field("Chapter", f"{check.chapter.id}, {check.chapter.title}: {check.chapter.file}")
    if verdict.log:
        lines += ["", verdict.log.partition("\n")[0], *_log(verdict.log.partition("\n")[2])]
    return "\n".join(lines)


def render_hidden(check: Check, place: Place) -> str:
    """Tell of a check that is judged at grading only."""
    lines = [f"{AT_GRADING} · {check.id} · {check.points} points", "", *_field("What must hold", check.title)]
    lines += _field("Looked at", check.looked_at)
    lines += _field("Next", "Nothing: this check is run when your work is graded, and says nothing before.")
    lines += _field("Hint", place.hint.format(id=check.id, number=1))
    lines += _field("Chapter", f"{check.chapter.id}, {check.chapter.title}: {check.chapter.file}")
    return "\n".join(lines)


def render_hint(check: Check, number: int, place: Place) -> str:
    """Tell one of a check's hints, and how to see the one after it.

    Parameters
    ----------
    number
        1 for the first; a number outside the hints gives the nearest.
    """
    number = max(1, min(number, HINTS))
    if number < HINTS:
        after = f"The next one: {place.hint.format(id=check.id, number=number + 1)}"
    else:
        after = f"That was the last one. Read chapter {check.chapter.id}, {check.chapter.title}."
    hint = _wrap(check.hints[number - 1], WIDTH)
    return "\n".join([f"Hint {number} of {HINTS} for {check.id}", *hint, after])


def summary(verdicts: Sequence[Verdict], course: Course, place: Place, checks: Sequence[Check] | None = None) -> str:
    """Tell how far a submission is: each tier's points, its checks in a line each, and what is left for grading.

    Parameters
    ----------
    verdicts
        Those of the checks that were run.
    course
        The manifest.
    place
        `NOTEBOOK` or `TERMINAL`.
    checks
        The part of them that is told of; all when not given.
    """
    run = {verdict.id: verdict for verdict in verdicts}
    lines = []
    for tier in course.tiers:
        of_tier = [check for check in checks or course.checks if check.tier == tier.id]
        if not of_tier:
            continue
        told = [run[check.id] for check in of_tier if check.id in run]
        earned, points = sum(verdict.earned for verdict in told), sum(verdict.points for verdict in told)
        passed = sum(verdict.verdict == "pass" for verdict in told)
        of = f"{earned} of {points} points, {passed} of {len(told)} checks pass" if told else "all at grading"
        lines.append(f"{tier.title}: {of}")
        for check in of_tier:
            if check.id in run:
                lines.append(f"  {OUTCOMES[run[check.id].verdict]:<{_LABEL}} {check.id}")
            else:
                lines.append(f"  {AT_GRADING:<{_LABEL}} {check.id:<24} {place.hint.format(id=check.id, number=1)}")
    lines += ["", progress(verdicts, course)]
    return "\n".join(lines if checks else [*lines, so_far(verdicts, course)])


def next_step(verdict: Verdict, check: Check, place: Place) -> str:
    """Say in a sentence what to do after a verdict; nothing after one that has passed."""
    if verdict.verdict == "pass":
        return ""
    if verdict.verdict == "waiting":
        return "See to the check that this one waits for."
    if verdict.verdict == "could_not_check":
        return "The fault is the checker's, not yours. Try again; if it stays, show this to your teacher."
    again = place.again if check.visible else AT_GRADING_AGAIN
    return f"Change {check.file}, {again.format(id=check.id)}"


def _field(label: str, text: str) -> list[str]:
    """Return a labelled text as lines: wrapped beside the label, its own line breaks kept."""
    if not text:
        return []
    first, *others = _wrap(text, WIDTH - _LABEL)
    return [f"{label:<{_LABEL}}{first}", *(" " * _LABEL + line for line in others)]


@functools.lru_cache(2048)  # a class has many of the same texts
def _wrap(text: str, width: int) -> tuple[str, ...]:
    """Break a text into lines, its own line breaks kept, and no word, address or id broken."""
    lines: list[str] = []
    for line in text.splitlines():
        lines += textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
    return tuple(lines)


def _log(text: str) -> list[str]:
    """Return a log's lines, the long ones broken, and of many the last."""
    lines = _wrap(_cut(text), WIDTH - 2)
    left_out = [f"[… {len(lines) - LOG_LINES} lines left out …]"] if len(lines) > LOG_LINES else []
    return [f"  {line}" for line in [*left_out, *lines[-LOG_LINES:]]]


def _cut(text: str) -> str:
    left_out = len(text) - HEAD - TAIL
    if left_out <= 0:
        return text
    return f"{text[:HEAD]}\n[… {left_out:,} characters left out …]\n{text[-TAIL:]}"
