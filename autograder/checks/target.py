"""The checks of the Target tier: seven months by backfill, the right rows, and the same again."""

from typing import Any

from autograder.checks.minimum import file_of, other_schedule, out_of_time, served
from autograder.checks.rules import (
    CannotTellError,
    Evidence,
    Finding,
    changed_table,
    check,
    first_log,
    months_table,
    requests_table,
    rows_table,
    same_counts,
    states_table,
)

TABLES = ("raw_trips", "fct_trips")


@check("target.backfill-runs", needs=("minimum.run-green",))
def backfill_runs(evidence: Evidence) -> Finding:
    """Look for seven green runs, each of which read its own month's file."""
    backfill, months = evidence["backfill"], sorted(evidence["source"])
    expected = f"{len(months)} runs, {months[0]} to {months[-1]}, all success"
    runs = backfill["runs"]
    seen = "\n".join(filter(None, [states_table(runs), first_log(runs)]))
    if len(runs) != len(months):
        message = f"The backfill made {len(runs)} runs, not {len(months)}."
        return Finding(False, message, expected, seen, other_schedule(evidence))
    green = [run["logical_date"][:7] for run in runs if run["state"] == "success"]
    if green != months:
        message = f"{len(green)} of {len(months)} runs of the backfill are green."
        return Finding(False, message, expected, seen, out_of_time(backfill))
    if unread := [month for month in months if not served(evidence, month)]:
        return Finding(
            False, f"All runs are green, but none fetched the file of {', '.join(unread)} from the source.",
            "\n".join(f"{file_of(month)} (200)" for month in months), requests_table(backfill["requests"]),
            "The month is written into the DAG, or taken from today's date; it must come from the logical date.",
        )  # fmt: skip
    return Finding(True, f"All {len(months)} runs of the backfill are green.")


@check("target.backfill-rows", needs=("target.backfill-runs",))
def backfill_rows(evidence: Evidence) -> Finding:
    """Look for exactly each month's own rows in each table."""
    expected = {month: facts["in_month"] for month, facts in evidence["source"].items()}
    whole_files = sum(facts["rows"] for facts in evidence["source"].values())
    total = f"{sum(expected.values()):,}"
    for table in TABLES:
        found = evidence["backfill"]["tables"][table]
        if found is None:
            missing = f"There is no table {table} in your schema, airflow_{evidence['student']}."
            return Finding(False, missing, f"{total} rows", rows_table(found))
        if found["months"] != expected:
            cause = None
            present = set(found["months"]) & set(expected)
            complete = all(found["months"].get(month, 0) >= rows for month, rows in expected.items())
            if complete and found["rows"] <= whole_files:  # fewer, where a later month's load deleted some
                cause = "The whole file was loaded, with the few rows that it dates in other months."
            elif present == {max(expected)}:
                cause = "Each run emptied the table first: only the last month is left."
            elif table == "fct_trips":
                cause = "raw_trips is right, so the dbt models leave out trips, or add some."
            message = f"{table} does not hold exactly each month's own trips."
            return Finding(False, message, f"{total} rows\n{months_table(expected)}", rows_table(found), cause)
    return Finding(True, f"Both tables hold {total} trips, exactly those that each file has of its own month.")


@check("target.idempotent", needs=("target.backfill-runs",))
def idempotent(evidence: Evidence) -> Finding:
    """Look for a second backfill that ran, is green, and changed no table."""
    again, months = evidence["backfill_again"], sorted(evidence["source"])
    if again["refused"]:  # though Airflow took the first one, of the same DAG
        raise CannotTellError(f"Airflow refused the second backfill: {again['refused']}")
    runs = again["runs"]
    if [run["logical_date"][:7] for run in runs if run["state"] == "success"] != months:
        seen = "\n".join(filter(None, [states_table(runs), first_log(runs)]))
        message = "The second backfill did not end green."
        return Finding(False, message, "the same runs, all success", seen, out_of_time(again))
    first = {run["logical_date"]: run["start"] for run in evidence["backfill"]["runs"]}
    if unmoved := [run["logical_date"][:7] for run in runs if run["start"] == first[run["logical_date"]]]:
        raise CannotTellError(f"Airflow did not run {', '.join(unmoved)} a second time.")
    for table in TABLES:
        before, after = evidence["backfill"]["tables"][table], again["tables"][table]
        if before is None or not before["rows"]:
            message = f"A second backfill can show nothing: {table} was empty after the first."
            return Finding(False, message, f"trips in {table}", rows_table(before))
        if after is None or before["digest"] != after["digest"]:
            return Finding(
                False, f"The second backfill changed {table}.", rows_table(before), changed_table(before, after),
                _why(before, after),
            )  # fmt: skip
    return Finding(True, "The second backfill ran all months again, and changed no row.")


def _why(before: dict[str, Any], after: dict[str, Any] | None) -> str | None:
    if after is None:
        return None
    if after["rows"] == 2 * before["rows"]:
        return "Each run adds its rows to those that are there: delete the month's rows before you load it."
    if after["rows"] > before["rows"]:
        return "Rows dated in other months are loaded again by each run, since deleting by month misses them."
    if same_counts(before, after):
        return "A column holds what differs each time, such as the moment of the load."
    return None
