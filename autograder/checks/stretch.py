"""The checks of the Stretch tier: a broken load does no harm, a failed run is told of, and the tests find mistakes."""

from autograder.checks.facts import only_run
from autograder.checks.rules import CannotTellError, Evidence, Finding, check
from autograder.checks.texts import changed_table, number, out_of_time, rows_table, states_table

FEWEST_FOUND = 4
"""Seeded mistakes, of six, that the student's tests must find."""

PYTEST_FAILED = (1, 2)
"""pytest's exit codes when a test failed, and when the tests could not even be collected."""


@check("stretch.atomic-load", needs=("target.idempotent",))
def atomic_load(evidence: Evidence) -> Finding:
    """Look for a failed run that left the table as it was, after its connection was cut."""
    cut = evidence["cut_load"]
    if cut["refused"]:
        raise CannotTellError(f"Airflow refused the run whose load was to be cut: {cut['refused']}")
    if cut["cut_at"] is None and cut["in_time"]:
        raise CannotTellError("No load could be cut half-way: its rows came in another way than by inserting them.")
    before, after = cut["before"]["raw_trips"], cut["tables"]["raw_trips"]
    expected, states = f"{cut['month']} failed", states_table(cut["runs"])
    where = f"DAG {evidence['dag_id']}, the run of {cut['month']}, whose load was cut"
    if any(run["state"] == "success" for run in cut["runs"]):
        return Finding(
            False, "The connection was cut in the middle of the load, and yet the run is green.", expected, states,
            "An error is caught and not raised again.", where,
        )  # fmt: skip
    if not cut["in_time"]:
        return Finding(
            False, "The connection was cut in the middle of the load, and the run did not end.", expected, states,
            out_of_time(cut), where,
        )  # fmt: skip
    if after is None or before["digest"] != after["digest"]:
        return Finding(
            False, f"A load of {cut['month']} that was cut half-way left other rows in raw_trips than before.",
            rows_table(before), changed_table(before, after), None, where,
        )  # fmt: skip
    return Finding(True, f"A load of {cut['month']} that was cut half-way failed, and left every row as it was.")


@check("stretch.notify", needs=("minimum.run-green",))
def notify(evidence: Evidence) -> Finding:
    """Look for one notification for each run that failed, and none for those that are green."""
    told = {}
    for name in ("january", "other_month", "busy_source", "unpublished", "damaged", "failing_tests"):
        if evidence[name]["runs"]:
            run = only_run(evidence[name])
            told[f"{evidence[name]['month']} {run['state']}"] = (run["state"], len(evidence[name]["notifications"]))
    where = f"what reached the connection notify while {evidence['dag_id']} ran"
    expected = "one notification for each failed run, none for a green one"
    seen = "\n".join(f"{run}: {number(count, 'notification')}" for run, (_, count) in told.items())
    failed = [count for state, count in told.values() if state == "failed"]
    if not failed:
        return Finding(False, "No run failed, so nothing could be told.", expected, seen, None, where)
    if any(count for state, count in told.values() if state != "failed"):
        return Finding(False, "A run that did not fail sent a notification.", expected, seen, None, where)
    if not any(failed):
        return Finding(False, "A failed run told nobody.", expected, seen, None, where)
    if any(count != 1 for count in failed):
        return Finding(False, "A failed run did not send exactly one notification.", expected, seen, None, where)
    return Finding(True, "Each failed run sent one notification, and the green ones none.", where=where)


@check("stretch.own-tests", needs=("minimum.dag-loads",))
def own_tests(evidence: Evidence) -> Finding:
    """Look for tests that pass on the student's DAG, and fail on most versions of it with a mistake."""
    tests = evidence["own_tests"]
    if tests is None:
        cause = "Run the cell that begins with %%writefile tests/test_taxi_pipeline.py."
        return Finding(
            False, "There are no tests.", "tests/test_taxi_pipeline.py", "no file in tests/", cause, "tests/"
        )
    own, bugs = tests["own"], tests["bugs"]
    counted = f"{own['passed']} passed, {own['failed']} failed, {own['errors']} errors"
    if own["code"] != 0 or not own["passed"]:
        ended = "pytest did not end" if own["code"] is None else f"pytest ended with code {own['code']}"
        log = f"What pytest said:\n{own['output']}" if own["output"].strip() else ""
        return Finding(
            False, "The tests do not pass on your own DAG.", "all tests pass, and there is one at least",
            f"{ended}: {counted}", None, "tests/, on your DAG", log,
        )  # fmt: skip
    found = sum(one["code"] in PYTEST_FAILED for one in bugs.values())
    if found < FEWEST_FOUND:
        return Finding(
            False, f"The tests fail on {found} of {len(bugs)} versions of your DAG with a mistake in them.",
            f"at least {FEWEST_FOUND} of {len(bugs)}", f"{counted} on your DAG\n{found} of {len(bugs)} mistakes found",
            "A test says what must hold: the schedule, the start date, catchup, each task and what it waits for, "
            "retries and their delay.",
            "tests/, on versions of your DAG with a mistake each",
        )  # fmt: skip
    return Finding(True, f"The tests pass on your DAG, and find {found} of {len(bugs)} mistakes.", where="tests/")
