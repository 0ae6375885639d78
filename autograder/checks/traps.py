"""The mistakes that this course knows: recognised from what a submission did, never from its text.

Contract: `recognise` returns the first known mistake that the evidence shows and that explains why a check is lost, or
None. A trap speaks only of checks in its `checks`, and only from states, logs, requests and rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from autograder.checks.rules import Evidence

SCENARIOS: dict[str, tuple[str, ...]] = {
    "minimum.run-green": ("january",),
    "minimum.logical-date": ("other_month",),
    "minimum.retries": ("busy_source",),
    "minimum.failure-gate": ("unpublished", "damaged", "failing_tests"),
    "target.backfill-runs": ("backfill",),
    "target.idempotent": ("backfill_again",),
    "target.manual-run": ("manual_run",),
    "target.shared-deploy": ("shared",),
}
"""The scenarios whose runs decide a check."""


@dataclass(frozen=True)
class Trap:
    """A known mistake.

    Parameters
    ----------
    name
        Lower-case words joined by hyphens.
    chapter
        The chapter that teaches what to do instead.
    text
        What the mistake is, and the way out, in a sentence or three.
    checks
        The checks that it explains.
    shows
        Whether the evidence shows it, where this check is lost.
    """

    name: str
    chapter: str
    text: str
    checks: tuple[str, ...]
    shows: Callable[[Evidence, str], bool]


TRAPS: list[Trap] = []
"""All of them; where several show, the first is told."""


def trap(
    name: str, *, chapter: str, text: str, checks: tuple[str, ...]
) -> Callable[[Callable[[Evidence, str], bool]], Callable[[Evidence, str], bool]]:
    """Register the decorated function as what recognises a mistake."""

    def register(shows: Callable[[Evidence, str], bool]) -> Callable[[Evidence, str], bool]:
        TRAPS.append(Trap(name, chapter, text, checks, shows))
        return shows

    return register


def recognise(check_id: str, evidence: Evidence) -> Trap | None:
    """Return the known mistake that explains why a check is lost, where there is one."""
    return next((one for one in TRAPS if check_id in one.checks and one.shows(evidence, check_id)), None)
