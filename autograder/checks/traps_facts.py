"""Known mistakes that states, requests and rows show.

Contract: each function answers one question about the evidence, for a check that is lost.
"""

from collections.abc import Iterator

from autograder.checks.facts import (
    asked,
    dag,
    green,
    instances,
    months_near,
    named,
    ran,
    rows,
    served,
    state,
    strays,
    unchanged,
)
from autograder.checks.rules import DAG_ID, TABLES, TASKS, Evidence
from autograder.checks.traps import SCENARIOS, trap

JANUARY = "2024-01"


@trap(
    "daily-schedule",
    chapter="03",
    text="The files come once a month: a run each day finds nothing new, and a backfill makes a run for each day.",
    checks=("minimum.schedule", "target.backfill-runs"),
)
def daily_schedule(evidence: Evidence, _: str) -> bool:
    """Look for a cron expression without a day of the month."""
    fields = (dag(evidence)["schedule"] or "").split()
    return len(fields) == 5 and fields[2] == "*"


@trap(
    "catchup-on",
    chapter="03",
    text="With catchup=True, Airflow runs every month since the start date as soon as the DAG is unpaused. "
    "Past months are better loaded by a backfill, when you want it: catchup=False.",
    checks=("minimum.schedule",),
)
def catchup_on(evidence: Evidence, _: str) -> bool:
    """Look for catchup."""
    return dag(evidence)["catchup"] is True


@trap(
    "paused-backfill",
    chapter="05",
    text="No task of these runs ever begins: Airflow only queues the runs of a paused DAG. Unpause the DAG first.",
    checks=("minimum.runbook", "target.backfill-runs"),
)
def paused_backfill(evidence: Evidence, check_id: str) -> bool:
    """Look for runs that are queued and nothing else, or for a runbook whose command comes after a pause."""
    if check_id == "minimum.runbook":
        return any(one.get("paused") for one in evidence["runbook"].values())
    runs = evidence["backfill"]["runs"]
    return bool(runs) and all(run["state"] == "queued" and not any(t["start"] for t in run["tasks"]) for run in runs)


@trap(
    "now",
    chapter="05",
    text="The month was taken from today's date. A run stands for its logical date, however late it runs: "
    "`dag_run.logical_date or dag_run.run_after`.",
    checks=("minimum.run-green", "minimum.logical-date", "target.backfill-runs"),
)
def now(evidence: Evidence, check_id: str) -> bool:
    """Look for runs of past months that asked for none but recent ones."""
    return any(
        for_months and wanted and not for_months & wanted and for_months <= recent
        for wanted, for_months, recent in _months(evidence, check_id)
    )


@trap(
    "hard-coded-month",
    chapter="05",
    text="The month is written into the DAG: runs of different months ask for one and the same file. Take it "
    "from the run's logical date.",
    checks=("minimum.run-green", "minimum.logical-date", "target.backfill-runs"),
)
def hard_coded_month(evidence: Evidence, check_id: str) -> bool:
    """Look for one past month that is asked for, whichever is wanted."""
    return any(
        len(for_months - recent) == 1 and wanted - (for_months - recent)
        for wanted, for_months, recent in _months(evidence, check_id)
    )


def _months(evidence: Evidence, check_id: str) -> Iterator[tuple[set[str], set[str], set[str]]]:
    """Yield for each scenario the months of its runs, those asked for, and those about the day of asking."""
    for scenario in (evidence[name] for name in SCENARIOS[check_id]):
        wanted = {run["logical_date"][:7] for run in scenario["runs"] if run["logical_date"]}
        recent = {month for request in scenario["requests"] for month in months_near(request["time"])}
        yield wanted, set(asked(scenario["requests"])), recent


@trap(
    "another-writer-of-fct-trips",
    chapter="04",
    text="Something other than dbt made fct_trips. The ingest loads raw_trips only; what analysts read is made "
    "by dbt run, from there, so that its tests and its models are what counts.",
    checks=("minimum.run-green",),
)
def another_writer_of_fct_trips(evidence: Evidence, _: str) -> bool:
    """Look for a fct_trips that dbt did not make, in a green run."""
    january = evidence["january"]
    makers = {one["application_name"] for one in january["dbt"] if one["relation"].endswith("fct_trips")}
    there = january["tables"]["fct_trips"]
    return bool(there and there["rows"]) and "dbt" not in makers and all(green(run) for run in january["runs"])


@trap(
    "replace-table",
    chapter="05",
    text='Each run emptied the table first, so that only the last month is left: to_sql(if_exists="replace") '
    "drops the whole table, and TRUNCATE empties it. Delete the rows of the run's month only.",
    checks=("minimum.logical-date", "target.backfill-rows"),
)
def replace_table(evidence: Evidence, check_id: str) -> bool:
    """Look for a table that has lost the months loaded before."""
    if check_id == "minimum.logical-date":
        other = evidence["other_month"]
        after = other["tables"]["raw_trips"]
        # A few rows of January may have come with the other month's file.
        return rows(after, other["month"]) > 0 and rows(after, JANUARY) <= strays(evidence, other["month"])
    table = evidence["backfill"]["tables"]["raw_trips"]
    last = max(evidence["source"])
    others = [month for month in evidence["source"] if month != last]
    few = strays(evidence, last)
    return rows(table, last) > 0 and all(rows(table, month) <= few for month in others)


@trap(
    "whole-file",
    chapter="05",
    text="The whole file was loaded, with the few rows that it dates in other months. Deleting by month misses "
    "these, so each run adds them again. Keep only the rows of the run's own month.",
    checks=("target.backfill-rows", "target.idempotent"),
)
def whole_file(evidence: Evidence, check_id: str) -> bool:
    """Look for all rows of each month, and not more beside them than the files date in other months."""
    own = {month: facts["in_month"] for month, facts in evidence["source"].items()}
    first = evidence["backfill"]["tables"]["raw_trips"]
    few = strays(evidence, *evidence["source"])
    if first is None or not all(0 <= rows(first, month) - count <= few for month, count in own.items()):
        return False
    if check_id == "target.backfill-rows":
        return bool(0 < first["rows"] - sum(own.values()) <= few)
    again = evidence["backfill_again"]["tables"]["raw_trips"]
    return bool(again and first["rows"] < again["rows"] <= first["rows"] + few)


@trap(
    "blind-append",
    chapter="05",
    text="Each run adds its rows to those that are there. Delete the month's rows before you load it, in the "
    "same transaction.",
    checks=("target.idempotent",),
)
def blind_append(evidence: Evidence, _: str) -> bool:
    """Look for twice the rows after the second backfill."""
    before, after = evidence["backfill"]["tables"]["raw_trips"], evidence["backfill_again"]["tables"]["raw_trips"]
    return bool(before and after and before["rows"] and after["rows"] == 2 * before["rows"])


@trap(
    "delete-and-load-apart",
    chapter="05",
    text="Deleting and loading are committed one after the other. Do both on one connection, in one transaction.",
    checks=("stretch.atomic-load",),
)
def delete_and_load_apart(evidence: Evidence, _: str) -> bool:
    """Look for a table that a cut load has changed, in a run that failed."""
    cut = evidence["cut_load"]
    before, after = cut["before"]["raw_trips"], cut["tables"]["raw_trips"]
    failed = bool(cut["runs"]) and cut["in_time"] and not any(run["state"] == "success" for run in cut["runs"])
    return failed and (after is None or before["digest"] != after["digest"])


@trap(
    "skip-for-failure",
    chapter="04",
    text="The task skipped itself, and a run with skipped tasks is green. A month that should be there and is not is a "
    "failure: let the task fail.",
    checks=("minimum.failure-gate",),
)
def skip_for_failure(evidence: Evidence, _: str) -> bool:
    """Look for an ingest that was skipped where there was no good file."""
    return any(state(run, TASKS[0]) == "skipped" for run in _bad_files(evidence))


@trap(
    "hidden-failure",
    chapter="07",
    text="A failure was caught and not raised again: the task is green, though it had nothing to load, and "
    "everything after it worked on old rows. Take the except away, or raise in it; a command ends with "
    "its program's own code, without `|| true`.",
    checks=("minimum.failure-gate",),
)
def hidden_failure(evidence: Evidence, _: str) -> bool:
    """Look for an ingest that is green at once without a file, or a dbt_test that is on rows that fail its tests."""
    ingests = [task for run in _bad_files(evidence) for task in instances(run, TASKS[0])]
    if any(task["state"] == "success" and task["tries"] == 1 for task in ingests):
        return True
    return any(state(run, TASKS[2]) == "success" for run in evidence["failing_tests"]["runs"])


@trap(
    "trigger-rule",
    chapter="04",
    text="A task ran although the one before it had failed, since its trigger_rule says so. Leave it at "
    "all_success: dbt has nothing to do where the load has failed.",
    checks=("minimum.failure-gate",),
)
def trigger_rule(evidence: Evidence, _: str) -> bool:
    """Look for another trigger rule, and a task that ran after a failed one."""
    rules = {
        task["trigger_rule"]
        for task_id, task in dag(evidence)["tasks"].items()
        if any(named(task_id, name) for name in TASKS[1:])
    }
    runs = [*_bad_files(evidence), *evidence["failing_tests"]["runs"]]
    after_failed = [
        run for run in runs if state(run, TASKS[0]) == "failed" and any(ran(run, name) for name in TASKS[1:])
    ]
    hidden = [run for run in runs if run["state"] == "success" and any(t["state"] == "failed" for t in run["tasks"])]
    return bool(after_failed and rules != {"all_success"}) or bool(hidden)


def _bad_files(evidence: Evidence) -> list[Evidence]:
    return [run for name in ("unpublished", "damaged") for run in evidence[name]["runs"]]


@trap(
    "error-page-loaded",
    chapter="05",
    text="A run that got no good file went on with what it had. Call raise_for_status() on the answer, and "
    "read the whole file, before you touch the table.",
    checks=("minimum.failure-gate",),
)
def error_page_loaded(evidence: Evidence, _: str) -> bool:
    """Look for a failed run that changed a table."""
    return any(
        not unchanged(evidence[name]["before"], evidence[name]["tables"])
        for name in ("unpublished", "damaged")
        if any(run["state"] == "failed" and state(run, TASKS[0]) == "failed" for run in evidence[name]["runs"])
    )


@trap(
    "same-dag-id",
    chapter="08",
    text="Two DAGs of one name replace each other on a shared Airflow, in turns. Make the dag_id from the name "
    "of the folder that the file stands in.",
    checks=("target.shared-deploy",),
)
def same_dag_id(evidence: Evidence, _: str) -> bool:
    """Look for a DAG that is called there as everybody's is."""
    return bool(evidence["shared"]["dag_id"] == DAG_ID)


@trap(
    "student-unset",
    chapter="08",
    text="Nobody sets AIRFLOW_STUDENT on the shared Airflow, and without it the rows go to airflow_default, "
    "everybody's into one table. Take your name from the folder that the file stands in.",
    checks=("target.shared-deploy",),
)
def student_unset(evidence: Evidence, _: str) -> bool:
    """Look for tables in airflow_default."""
    return any(evidence["shared"]["default_schema"][table] for table in TABLES)


@trap(
    "a-callback-for-each-task",
    chapter="07",
    text="The callback belongs to the tasks, or is called at each retry as well. Give it to the DAG, as "
    "on_failure_callback: Airflow calls it once, when the run has failed.",
    checks=("stretch.notify",),
)
def a_callback_for_each_task(evidence: Evidence, _: str) -> bool:
    """Look for more notifications than failed runs."""
    return any(
        len(evidence[name]["notifications"]) > sum(run["state"] == "failed" for run in evidence[name]["runs"])
        for name in ("busy_source", "unpublished", "damaged", "failing_tests")
    )


@trap(
    "source-not-asked",
    chapter="05",
    text="The file of the month was never asked for. The address begins with TLC_URL, from the environment, "
    "and is built for each run from its month.",
    checks=("minimum.run-green", "minimum.logical-date", "target.backfill-runs"),
)
def source_not_asked(evidence: Evidence, check_id: str) -> bool:
    """Look for green runs whose file nobody asked for, nor another one in its place."""
    return not (now(evidence, check_id) or hard_coded_month(evidence, check_id)) and any(
        green(run) and run["logical_date"] and not served(evidence[name], run["logical_date"][:7])
        for name in SCENARIOS[check_id]
        for run in evidence[name]["runs"]
    )
