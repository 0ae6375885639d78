"""How a check is written: a pure function from evidence to what it found.

Contract: `@check(id, needs=…)` registers a function that takes the evidence and returns a `Finding`, or raises
`CannotTellError`. A check whose `needs` have not passed is never called: its verdict is "waiting".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Evidence = dict[str, Any]


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
        A likely reason, where a known mistake was recognised.
    """

    ok: bool
    message: str
    expected: str = ""
    seen: str = ""
    cause: str | None = None


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


DAG_ID = "taxi_pipeline"
TASKS = ("ingest_taxi_month", "dbt_run", "dbt_test")


def months_table(months: dict[str, int]) -> str:
    """Write row counts by month as lines: `2024-01 2,025`."""
    return "\n".join(f"{month} {rows:,}" for month, rows in sorted(months.items())) or "no rows"


def rows_table(table: dict[str, Any] | None) -> str:
    """Write what stands in a table as lines: how many rows, and how many of each month."""
    if table is None:
        return "no table"
    # A table without a column of pickup times has rows, but of no month.
    months = f"\n{months_table(table['months'])}" if table["months"] else ""
    return f"{table['rows']:,} rows{months}"


def same_counts(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether a table has as many rows as before, and as many of each month."""
    return bool(after["rows"] == before["rows"] and after["months"] == before["months"])


def changed_table(before: dict[str, Any], after: dict[str, Any] | None) -> str:
    """Write what a table that has changed holds now, as `rows_table` does, or that only values differ."""
    if after is not None and same_counts(before, after):
        return "as many rows of each month, with other values in them"
    return rows_table(after)


def requests_table(requests: list[dict[str, Any]]) -> str:
    """Write what was asked of the source as lines: the path and the answer's status."""
    return "\n".join(f"{one['path']} ({one['status']})" for one in requests) or "no request"


def states_table(runs: list[dict[str, Any]]) -> str:
    """Write runs as lines: the month, the run's state, and its tasks' states."""
    return "\n".join(
        f"{run['logical_date'][:7]} {run['state']}: "
        + ", ".join(f"{task['task_id']} {task['state'] or 'not started'}" for task in in_order(run["tasks"]))
        for run in runs
    )


def in_order(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return task instances in the pipeline's order, tasks of other names last."""
    return sorted(tasks, key=lambda task: TASKS.index(task["task_id"]) if task["task_id"] in TASKS else len(TASKS))


def first_log(runs: list[dict[str, Any]]) -> str:
    """Return the end of the first failed task's log, headed by where it is from; empty when none failed."""
    for run in runs:
        for task in in_order(run["tasks"]):
            if task["log"]:
                return f"log of {task['task_id']} for {run['logical_date'][:7]}:\n{task['log']}"
    return ""
