"""The checks of the Target tier that look at runs: seven months by backfill, the right rows, and the same again."""

from typing import Any

from autograder.checks.facts import dag, file_of, green, only_run, served
from autograder.checks.minimum import wrong_settings
from autograder.checks.rules import TABLES, CannotTellError, Evidence, Finding, check
from autograder.checks.texts import (
    changed_table,
    first_log,
    months_table,
    out_of_time,
    requests_table,
    rows_table,
    same_counts,
    states_table,
)


@check("target.backfill-runs", needs=("minimum.run-green",))
def backfill_runs(evidence: Evidence) -> Finding:
    """Look for seven green runs, each of which read its own month's file."""
    backfill, months = evidence["backfill"], sorted(evidence["source"])
    expected = f"{len(months)} runs, {months[0]} to {months[-1]}, all success"
    where = f"DAG {evidence['dag_id']}, the backfill from {months[0]} to {months[-1]}"
    runs = backfill["runs"]
    seen, log = states_table(runs) or backfill["refused"] or "no run", first_log(backfill)
    if len(runs) != len(months):
        message = f"The backfill made {len(runs) or 'no'} runs, not {len(months)}."
        return Finding(False, message, expected, seen, _other_schedule(evidence), where, log)
    done = [run["logical_date"][:7] for run in runs if run["state"] == "success"]
    if done != months:
        message = f"{len(done)} of {len(months)} runs of the backfill are green."
        return Finding(False, message, expected, seen, out_of_time(backfill), where, log)
    if unread := [month for month in months if not served(backfill, month)]:
        return Finding(
            False, f"All runs are green, but none fetched the file of {', '.join(unread)} from the source.",
            "\n".join(f"{file_of(month)} (200)" for month in months), requests_table(backfill["requests"]),
            None, where,
        )  # fmt: skip
    return Finding(True, f"All {len(months)} runs of the backfill are green.", where=where)


def _other_schedule(evidence: Evidence) -> str | None:
    wrong = wrong_settings(dag(evidence))
    if not (wrong["schedule"] or wrong["start_date"]):
        return None
    return "A backfill makes one run for each date of the schedule, from the start date on: see minimum.schedule."


@check("target.backfill-rows", needs=("target.backfill-runs",))
def backfill_rows(evidence: Evidence) -> Finding:
    """Look for exactly each month's own rows in each table."""
    expected = {month: facts["in_month"] for month, facts in evidence["source"].items()}
    total = f"{sum(expected.values()):,}"
    for table in TABLES:
        found = evidence["backfill"]["tables"][table]
        where = f"{table} in schema airflow_{evidence['student']}, after the backfill"
        if found is None:
            missing = f"There is no table {table} in your schema."
            return Finding(False, missing, f"{total} rows", rows_table(found), None, where)
        if found["months"] != expected:
            cause = None
            if table == "fct_trips":
                cause = "raw_trips is right, so the dbt models leave out trips, or add some."
            message = f"{table} does not hold exactly each month's own trips."
            return Finding(False, message, f"{total} rows\n{months_table(expected)}", rows_table(found), cause, where)
    return Finding(True, f"Both tables hold {total} trips, exactly those that each file has of its own month.")


@check("target.idempotent", needs=("target.backfill-runs",))
def idempotent(evidence: Evidence) -> Finding:
    """Look for a second backfill that ran, is green, and changed no table."""
    again, months = evidence["backfill_again"], sorted(evidence["source"])
    where = f"DAG {evidence['dag_id']}, the second backfill"
    if again["refused"]:  # though Airflow took the first one, of the same DAG
        raise CannotTellError(f"Airflow refused the second backfill: {again['refused']}")
    runs = again["runs"]
    if [run["logical_date"][:7] for run in runs if run["state"] == "success"] != months:
        return Finding(
            False, "The second backfill did not end green.", "the same runs, all success",
            states_table(runs), out_of_time(again), where, first_log(again),
        )  # fmt: skip
    first = {run["logical_date"]: run["start"] for run in evidence["backfill"]["runs"]}
    if unmoved := [run["logical_date"][:7] for run in runs if run["start"] == first[run["logical_date"]]]:
        raise CannotTellError(f"Airflow did not run {', '.join(unmoved)} a second time.")
    for table in TABLES:
        before, after = evidence["backfill"]["tables"][table], again["tables"][table]
        if before is None or not before["rows"]:
            message = f"A second backfill can show nothing: {table} was empty after the first."
            return Finding(False, message, f"trips in {table}", rows_table(before), None, where)
        if after is None or before["digest"] != after["digest"]:
            return Finding(
                False, f"The second backfill changed {table}.", rows_table(before), changed_table(before, after),
                _other_values(before, after), f"{where}, {table}",
            )  # fmt: skip
    return Finding(True, "The second backfill ran all months again, and changed no row.", where=where)


def _other_values(before: dict[str, Any], after: dict[str, Any] | None) -> str | None:
    if after is None or not same_counts(before, after):
        return None
    return "A column holds what differs each time, such as the moment of the load."


@check("target.manual-run", needs=("minimum.run-green",))
def manual_run(evidence: Evidence) -> Finding:
    """Look for a green run among those without a logical date."""
    scenario = evidence["manual_run"]
    where = f"DAG {evidence['dag_id']}, a run triggered by hand, without a logical date"
    if not scenario["runs"]:
        raise CannotTellError(f"Airflow made no run without a logical date: {scenario['refused']}")
    run = only_run(scenario)
    if not green(run):
        return Finding(
            False, "The run without a logical date did not end green.", "a green run, though nobody gave it a date",
            states_table([run]), out_of_time(scenario), where, first_log(scenario),
        )  # fmt: skip
    return Finding(True, "A run without a logical date is green as well.", where=where)
