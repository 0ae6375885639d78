"""The checks of the Target tier: seven months by backfill, the right rows, and the same again."""

from typing import Any

from autograder.checks.minimum import served
from autograder.checks.rules import Evidence, Finding, check, first_log, months_table, states_table

TABLES = ("raw_trips", "fct_trips")


@check("target.backfill-runs", needs=("minimum.run-green",))
def backfill_runs(evidence: Evidence) -> Finding:
    """Look for seven green runs, each of which read its own month's file."""
    backfill, months = evidence["backfill"], sorted(evidence["source"])
    expected = f"{len(months)} runs, {months[0]} to {months[-1]}, all success"
    green = [run["logical_date"][:7] for run in backfill["runs"] if run["state"] == "success"]
    if green != months:
        seen = "\n".join(filter(None, [states_table(backfill["runs"]), first_log(backfill["runs"])]))
        return Finding(False, f"{len(green)} of {len(months)} runs of the backfill are green.", expected, seen)
    if unread := [month for month in months if not served(evidence, month)]:
        cause = "The month is written into the DAG, or taken from today's date; it must come from the logical date."
        message = f"All runs are green, but nobody asked the source for {', '.join(unread)}."
        return Finding(False, message, "one request for each month's file", _asked(evidence), cause)
    return Finding(True, f"All {len(months)} runs of the backfill are green.")


@check("target.backfill-rows", needs=("target.backfill-runs",))
def backfill_rows(evidence: Evidence) -> Finding:
    """Look for exactly each month's own rows in each table."""
    expected = {month: facts["in_month"] for month, facts in evidence["source"].items()}
    whole_files = sum(facts["rows"] for facts in evidence["source"].values())
    for table in TABLES:
        found = evidence["backfill"]["tables"][table]
        if found is None:
            return Finding(False, f"There is no table {table}.", months_table(expected), "no table")
        if found["months"] != expected:
            cause = None
            if found["rows"] == whole_files:
                cause = "The whole file was loaded, with the few rows that it dates in other months."
            elif not set(found["months"]) - set(expected) and len(found["months"]) == 1:
                cause = "Each run emptied the table first: only the last month is left."
            message = f"{table} does not hold exactly each month's own trips."
            return Finding(False, message, months_table(expected), months_table(found["months"]), cause)
    total = sum(expected.values())
    return Finding(True, f"Both tables hold {total:,} trips, exactly those that each file has of its own month.")


@check("target.idempotent", needs=("target.backfill-runs",))
def idempotent(evidence: Evidence) -> Finding:
    """Look for a second backfill that ran, is green, and changed no table."""
    again = evidence.get("backfill_again", {"runs": [], "refused": "it was not run"})
    runs, months = again["runs"], sorted(evidence["source"])
    if again["refused"] or [run["logical_date"][:7] for run in runs if run["state"] == "success"] != months:
        seen = "\n".join(filter(None, [again["refused"], states_table(runs), first_log(runs)]))
        return Finding(False, "The second backfill did not end green.", "the same runs, all success", seen)
    first = {run["logical_date"]: run["start"] for run in evidence["backfill"]["runs"]}
    if unmoved := [run["logical_date"][:7] for run in runs if run["start"] == first[run["logical_date"]]]:
        return Finding(
            False, f"Not run a second time: {', '.join(unmoved)}.", "every month run again", "the first runs"
        )
    for table in TABLES:
        before, after = evidence["backfill"]["tables"][table], again["tables"][table]
        if before is None or after is None or before["digest"] != after["digest"]:
            return Finding(
                False, f"The second backfill changed {table}.", _rows(before), _rows(after), _why(before, after)
            )  # fmt: skip
    return Finding(True, "The second backfill ran all months again, and changed no row.")


def _asked(evidence: Evidence) -> str:
    return "\n".join(f"{one['path']} ({one['status']})" for one in evidence["backfill"]["requests"]) or "no request"


def _rows(table: dict[str, Any] | None) -> str:
    return "no table" if table is None else f"{table['rows']:,} rows\n{months_table(table['months'])}"


def _why(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str | None:
    if before is None or after is None:
        return None
    if after["rows"] == 2 * before["rows"]:
        return "Each run adds its rows to those that are there: delete the month's rows before you load it."
    if after["rows"] > before["rows"]:
        return "Rows dated in other months are loaded again by each run, since deleting by month misses them."
    if after["rows"] == before["rows"]:
        return "As many rows as before, but others: a column may hold the time of the load."
    return None
