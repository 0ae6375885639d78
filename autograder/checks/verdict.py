"""What a check says about a submission.

Contract: a `Verdict` is all that a renderer, a grade or a report needs of one check. `expected` and `seen`
are plain text for the student, empty where there is nothing to compare; `cause` is a likely reason, given
when a known mistake was recognised, and `trap` that mistake's name; `message` is one sentence about this submission;
`where` is what of it was looked at; `log` is the end of the log that belongs to it.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["pass", "not_yet", "waiting", "could_not_check"]
"""Passed; not there yet; not judged, because a check that it builds on has not passed; the checker failed."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check, with its points."""

    id: str
    points: int
    earned: int
    verdict: Outcome
    expected: str
    seen: str
    cause: str | None
    message: str
    trap: str | None = None
    where: str = ""
    log: str = ""
