"""The checks of the Minimum tier that look at runs: one month, another month, and what goes wrong on the way."""

from autograder.checks.facts import (
    content,
    dag,
    file_of,
    green,
    instances,
    only_run,
    ran,
    rows,
    served,
    state,
    strays,
    task_ids,
    unchanged,
)
from autograder.checks.rules import TABLES, TASKS, CannotTellError, Evidence, Finding, check
from autograder.checks.texts import (
    first_log,
    months_table,
    number,
    out_of_time,
    requests_table,
    rows_table,
    states_table,
)

JANUARY = "2024-01"
ALL_GREEN = ", ".join(f"{task} success" for task in TASKS)
SHORTEST_DELAY_S = 1.0
"""Seconds between two tries that count as a delay."""


@check("minimum.run-green", needs=("minimum.task-order",))
def run_green(evidence: Evidence) -> Finding:
    """Look for a green run of January 2024, and for its rows, exactly once, in both tables."""
    january = evidence["january"]
    where = f"DAG {evidence['dag_id']}, the run of {JANUARY}"
    if found := not_green(january, JANUARY, where):
        return found
    in_month = evidence["source"][JANUARY]["in_month"]
    for table in TABLES:
        there = january["tables"][table]
        if rows(there, JANUARY) != in_month:
            missing = there is None or not there["rows"]
            message = f"The run is green, but {table} {'has no trips' if missing else 'has not each trip once'}."
            return Finding(
                False, message, f"{in_month:,} trips of {JANUARY} in airflow_{evidence['student']}.{table}",
                rows_table(there), _elsewhere(table) if missing else None, where,
            )  # fmt: skip
    builders = {one["application_name"] for one in january["dbt"] if one["relation"].endswith("fct_trips")}
    if "dbt" not in builders:
        return Finding(
            False, "The run is green, but fct_trips was not made by dbt.", "fct_trips, made by dbt run",
            f"fct_trips, made by {', '.join(sorted(filter(None, builders))) or 'another program'}", None, where,
        )  # fmt: skip
    return Finding(
        True, f"The run of {JANUARY} is green, and both tables have each of its {in_month:,} trips once.", where=where
    )


def _elsewhere(table: str) -> str:
    if table == "raw_trips":
        return "The rows went into another schema or table, or were not committed."
    return "dbt works in another schema: it takes the one that PG_SCHEMA names."


def not_green(scenario: Evidence, month: str, where: str) -> Finding | None:
    """Return what is wrong with a scenario's one run, where it is not green or never read its month's file."""
    try:
        run = only_run(scenario)
    except LookupError:
        seen = scenario["refused"] or states_table(scenario["runs"]) or "no run"
        message = f"There were {len(scenario['runs']) or 'no'} runs of {month}."
        return Finding(False, message, f"one run of {month}", seen, out_of_time(scenario), where)
    if not green(run):
        return Finding(
            False, f"The run of {month} did not end green.", f"{month} success: {ALL_GREEN}",
            states_table([run]), out_of_time(scenario), where, first_log(scenario),
        )  # fmt: skip
    if not served(scenario, month):
        return Finding(
            False, f"The run is green, but it never fetched the file of {month} from the source.",
            f"{file_of(month)} (200)", requests_table(scenario["requests"]),
            None if scenario["requests"] else "The address of the files is not taken from TLC_URL.", where,
        )  # fmt: skip
    return None


@check("minimum.logical-date", needs=("minimum.run-green",))
def logical_date(evidence: Evidence) -> Finding:
    """Look for a run of another month that loaded that month, and left January's rows alone."""
    other = evidence["other_month"]
    month = other["month"]
    where = f"DAG {evidence['dag_id']}, the run of {month} after that of {JANUARY}"
    if found := not_green(other, month, where):
        return found
    # Rows that a file dates in other months are Target's question: as many more are let pass.
    in_month, tolerated = evidence["source"][month]["in_month"], strays(evidence, JANUARY, month)
    for table in TABLES:
        before, after = other["before"][table], other["tables"][table]
        expected = {JANUARY: rows(before, JANUARY), month: in_month}
        if any(not 0 <= rows(after, one) - count <= tolerated for one, count in expected.items()):
            kept = rows(after, JANUARY) >= expected[JANUARY]
            message = (
                f"The run of {month} did not load each trip of its month once into {table}."
                if kept
                else f"The run of {month} took rows of {JANUARY} out of {table}."
            )
            return Finding(False, message, months_table(expected), rows_table(after), None, where)
    # This one's month lies before others that are loaded by then, those of the run by hand.
    last = evidence["failing_tests"]
    before, after = last["before"]["raw_trips"], last["tables"]["raw_trips"]
    lost = {one: count for one, count in (before or {"months": {}})["months"].items() if rows(after, one) < count}
    lost.pop(last["month"], None)
    if lost:
        return Finding(
            False, f"The run of {last['month']} took rows of {', '.join(sorted(lost))} out of raw_trips.",
            months_table(lost), months_table({one: rows(after, one) for one in lost}),
            "The delete reaches beyond the run's own month: it needs that month's first day and its last.",
            f"DAG {evidence['dag_id']}, the run of {last['month']}",
        )  # fmt: skip
    return Finding(True, f"A run of {month} loaded that month, and left {JANUARY} alone.", where=where)


_UNTRIED = "A failure was caught and not raised again, so that Airflow has nothing to try again."
_TRIED_OTHERWISE = "A later try did something else than the first. The month is the run's, at each try."


@check("minimum.retries", needs=("minimum.run-green",))
def retries(evidence: Evidence) -> Finding:
    """Look for a run that got through two 503s by trying again, after a while."""
    busy = evidence["busy_source"]
    tasks = dag(evidence)["tasks"]
    ingest = tasks[task_ids(tasks)[TASKS[0]]]
    where = f"DAG {evidence['dag_id']}, {TASKS[0]}, the run of {busy['month']}"
    expected = f"at least 2 retries of {TASKS[0]}, with a delay between them, and the run green"
    written = f"retries = {ingest['retries']:.0f}, retry_delay = {ingest['retry_delay'] or 0:.0f} seconds"
    if not busy["runs"]:
        raise CannotTellError(f"Airflow made no run on a busy source: {busy['refused']}")
    run = only_run(busy)
    if not green(run):
        count = max((task["tries"] for task in instances(run, TASKS[0])), default=0)
        seen = f"{written}\n{number(count, 'try', 'tries')}\n{states_table([run])}"
        message = "The source answered 503 twice, which passes, and the run did not get through it."
        return Finding(False, message, expected, seen, out_of_time(busy), where, first_log(busy))
    if not served(busy, busy["month"]):
        message = "The run is green, though the source answered 503 and the file was never had."
        seen = f"{written}\n{requests_table(busy['requests'])}"
        once = all(task["tries"] == 1 for task in instances(run, TASKS[0]))
        return Finding(False, message, expected, seen, _UNTRIED if once else _TRIED_OTHERWISE, where)
    if not ingest["retries"]:
        message = "The run got through, but Airflow would not have tried the task again."
        return Finding(False, message, expected, written, None, where)
    if (ingest["retry_delay"] or 0) < SHORTEST_DELAY_S:
        message = "The task is tried again at once: a source that is busy for a minute has no time to recover."
        return Finding(False, message, expected, written, None, where)
    return Finding(True, "Two 503s were survived by trying again after a while.", seen=written, where=where)


@check("minimum.failure-gate", needs=("minimum.run-green",))
def failure_gate(evidence: Evidence) -> Finding:
    """Look for failed runs without new rows where the file is no good, and for one that dbt test fails."""
    for name, what in {"unpublished": "is not published (403)", "damaged": "is damaged"}.items():
        scenario = evidence[name]
        month = scenario["month"]
        where = f"DAG {evidence['dag_id']}, the run of {month}, whose file {what}"
        run = _run(scenario, what)
        began = [task for task in TASKS[1:] if ran(run, task)]
        expected = f"{month} failed: {TASKS[0]} failed, dbt_run and dbt_test not run; no row changed"
        seen = states_table([run])
        if run["state"] != "failed":
            how = "green" if run["state"] == "success" else run["state"]
            message = f"The file of {month} {what}, and yet the run is {how}."
            return Finding(False, message, expected, seen, out_of_time(scenario), where)
        if began:
            message = f"The file of {month} {what}, and yet {' and '.join(began)} ran."
            return Finding(False, message, expected, seen, None, where, first_log(scenario))
        if not unchanged(scenario["before"], scenario["tables"]):
            table = next(one for one in TABLES if content(scenario["before"], one) != content(scenario["tables"], one))
            message = f"The file of {month} {what}, and yet the run changed {table}."
            before, after = scenario["before"][table], scenario["tables"][table]
            return Finding(False, message, rows_table(before), rows_table(after), None, where, first_log(scenario))
    bad = evidence["failing_tests"]
    where = f"DAG {evidence['dag_id']}, the run of {bad['month']}, whose rows fail dbt's tests"
    run = _run(bad, "fails dbt's tests")
    # A load whose columns are stricter than dbt's tests may refuse such rows before dbt does.
    failed = [place for place, task in enumerate(TASKS) if state(run, task) == "failed"]
    if run["state"] != "failed" or not failed or any(ran(run, task) for task in TASKS[failed[0] + 1 :]):
        expected = f"{bad['month']} failed: {TASKS[0]} success, dbt_run success, dbt_test failed"
        message = "Rows that must fail dbt's tests did not make dbt_test and the run fail."
        return Finding(False, message, expected, states_table([run]), out_of_time(bad), where, first_log(bad))
    return Finding(True, "What goes wrong stops the run: dbt does not work on it, and nothing of it is loaded.")


def _run(scenario: Evidence, what: str) -> Evidence:
    if not scenario["runs"]:
        raise CannotTellError(f"Airflow made no run of a month whose file {what}: {scenario['refused']}")
    return only_run(scenario)
