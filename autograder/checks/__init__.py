"""From evidence to verdicts: pure functions, no Airflow, no database.

Contract: `judge` gives one `Verdict` for each check of the manifest, in its order, from the evidence alone.
"""

from autograder.checks import minimum, minimum_runs, stretch, target, target_handed_in, traps_facts, traps_logs
from autograder.checks.rules import RULES, CannotTellError, Evidence
from autograder.checks.traps import recognise
from autograder.checks.verdict import Outcome, Verdict
from autograder.manifest import Check, Course, load

__all__ = ["judge", "minimum", "minimum_runs", "stretch", "target", "target_handed_in", "traps_facts", "traps_logs"]


def judge(evidence: Evidence, course: Course | None = None) -> list[Verdict]:
    """Judge one submission.

    Parameters
    ----------
    evidence
        What `autograder.observe` wrote down.
    course
        The manifest; the course's own unless given.
    """
    course = course or load()
    verdicts: dict[str, Verdict] = {}
    for one in course.checks:
        verdicts[one.id] = _judge(one, evidence, verdicts, course)
    return list(verdicts.values())


def _judge(one: Check, evidence: Evidence, before: dict[str, Verdict], course: Course) -> Verdict:
    rule = RULES[one.id]
    if waiting := [need for need in rule.needs if before[need].verdict != "pass"]:
        return _unjudged(one, "waiting", f"Waiting on {', '.join(waiting)}.")
    try:
        found = rule.find(evidence)
        trap = None if found.ok else recognise(one.id, evidence)
    except CannotTellError as error:
        return _unjudged(one, "could_not_check", str(error))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # The evidence lacks what the check looks at: our fault, never the student's.
        message = f"The checker cannot read its evidence: {type(error).__name__} {error}."
        return _unjudged(one, "could_not_check", message)
    chapter = course.chapter(trap.chapter) if trap else None
    return Verdict(
        one.id,
        one.points,
        one.points if found.ok else 0,
        "pass" if found.ok else "not_yet",
        found.expected,
        found.seen,
        f"{trap.text} See chapter {chapter.id}, {chapter.title}." if trap and chapter else found.cause,
        found.message,
        trap.name if trap else None,
        found.where,
        found.log,
    )


def _unjudged(one: Check, outcome: Outcome, message: str) -> Verdict:
    return Verdict(one.id, one.points, 0, outcome, "", "", None, message)
