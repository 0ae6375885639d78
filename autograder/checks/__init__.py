"""From evidence to verdicts: pure functions, no Airflow, no database.

Contract: `judge` gives one `Verdict` for each check of the manifest, in its order, from the evidence alone.
"""

from autograder.checks import minimum, stretch, target
from autograder.checks.rules import RULES, CannotTellError, Evidence
from autograder.checks.verdict import Outcome, Verdict
from autograder.manifest import Check, Course, load

__all__ = ["judge", "minimum", "stretch", "target"]


def judge(evidence: Evidence, course: Course | None = None) -> list[Verdict]:
    """Judge one submission.

    Parameters
    ----------
    evidence
        What `autograder.observe` wrote down.
    course
        The manifest; the course's own unless given.
    """
    verdicts: dict[str, Verdict] = {}
    for one in (course or load()).checks:
        verdicts[one.id] = _judge(one, evidence, verdicts)
    return list(verdicts.values())


def _judge(one: Check, evidence: Evidence, before: dict[str, Verdict]) -> Verdict:
    rule = RULES[one.id]
    if waiting := [need for need in rule.needs if before[need].verdict != "pass"]:
        return _unjudged(one, "waiting", f"Waiting on {', '.join(waiting)}.")
    try:
        found = rule.find(evidence)
    except CannotTellError as error:
        return _unjudged(one, "could_not_check", str(error))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # The evidence lacks what the check looks at: our fault, never the student's.
        message = f"The checker cannot read its evidence: {type(error).__name__} {error}."
        return _unjudged(one, "could_not_check", message)
    earned = one.points if found.ok else 0
    return Verdict(
        one.id,
        one.points,
        earned,
        "pass" if found.ok else "not_yet",
        found.expected,
        found.seen,
        found.cause,
        found.message,
    )


def _unjudged(one: Check, outcome: Outcome, message: str) -> Verdict:
    return Verdict(one.id, one.points, 0, outcome, "", "", None, message)
