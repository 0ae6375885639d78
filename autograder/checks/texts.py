"""Evidence as lines of text that a student reads under "expected" and "seen"."""

from typing import Any

from autograder.checks.facts import in_order, logs
from autograder.checks.rules import Evidence


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


def changed_table(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """Write what a table that has changed holds now, as `rows_table` does, or that only values differ."""
    if before is not None and after is not None and same_counts(before, after):
        return "as many rows of each month, with other values in them"
    return rows_table(after)


def requests_table(requests: list[dict[str, Any]]) -> str:
    """Write what was asked of the source as lines: the path and the answer's status."""
    methods = {"GET": ""}
    asked = (f"{methods.get(one['method'], one['method'] + ' ')}{one['path']} ({one['status']})" for one in requests)
    return "\n".join(asked) or "no request"


def states_table(runs: list[dict[str, Any]]) -> str:
    """Write runs as lines: the month, the run's state, and its tasks' states."""
    return "\n".join(
        f"{month_of(run)} {run['state']}: "
        + ", ".join(f"{task['task_id']} {task['state'] or 'not started'}" for task in in_order(run["tasks"]))
        for run in runs
    )


def month_of(run: dict[str, Any]) -> str:
    """Return the month that a run stands for, or that it has no logical date."""
    return run["logical_date"][:7] if run["logical_date"] else "no logical date"


def first_log(scenario: Evidence) -> str:
    """Return the end of the first failed task's log, headed by where it is from; empty when none failed."""
    for run, task in logs(scenario):
        return (
            f"Log of {task['task_id']}, {month_of(run)}, after {number(task['tries'], 'try', 'tries')}:\n{task['log']}"
        )
    return ""


def out_of_time(scenario: Evidence) -> str | None:
    """Return why a run may not have ended, where it was given up."""
    if scenario["in_time"] or scenario["refused"]:
        return None
    return "The checker waited for minutes, and gave up: a task waits, or hangs."


def number(count: int, one: str, more: str = "") -> str:
    """Write how many there are of something: `1 try`, `2 tries`; more than one has an s unless told otherwise."""
    return f"{count} {one}" if count == 1 else f"{count} {more or one + 's'}"
