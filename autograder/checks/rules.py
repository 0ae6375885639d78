"""How a check is written: a pure function from evidence to what it found.

Contract: `@check(id, needs=…)` registers a function that takes the evidence and returns a `Finding`, or raises
`CannotTellError`. A check whose `needs` have not passed is never called: its verdict is "waiting".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Evidence = dict[str, Any]

DAG_ID = "taxi_pipeline"
TASKS = ("ingest_taxi_month", "dbt_run", "dbt_test")
IMPORT_LIMIT_S = 10.0
"""Seconds that importing a DAG file may take; Airflow itself gives up after 30."""

TABLES = ("raw_trips", "fct_trips")


class CannotTellError(Exception):
    """The evidence does not show what a check asks, and no submission can have caused that: our fault."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Parameters
    ----------
    ok
        Whether the check's condition holds.
    message
        One sentence about this submission.
    expected, seen
        What is compared, in the student's terms; empty where there is nothing to compare.
    cause
        A likely reason, where the check itself shows one.
    where
        What of this submission was looked at: the DAG, the task, the month, the file.
    log
        The end of a log that belongs to it, headed by whose it is.
    """

    ok: bool
    message: str
    expected: str = ""
    seen: str = ""
    cause: str | None = None
    where: str = ""
    log: str = ""


@dataclass(frozen=True)
class Rule:
    """A registered check."""

    id: str
    needs: tuple[str, ...]
    find: Callable[[Evidence], Finding]


RULES: dict[str, Rule] = {}
"""Every check by its id."""


def check(
    check_id: str, *, needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Evidence], Finding]], Callable[[Evidence], Finding]]:
    """Register the decorated function as the check `check_id`, which waits for the checks in `needs`."""

    def register(find: Callable[[Evidence], Finding]) -> Callable[[Evidence], Finding]:
        RULES[check_id] = Rule(check_id, needs, find)
        return find

    return register
