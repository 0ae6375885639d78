"""The checks of the Stretch tier: what goes wrong half-way does no harm."""

from autograder.checks.minimum import out_of_time
from autograder.checks.rules import CannotTellError, Evidence, Finding, changed_table, check, rows_table, states_table


@check("stretch.atomic-load", needs=("target.idempotent",))
def atomic_load(evidence: Evidence) -> Finding:
    """Look for a failed run that left the table as it was, after its connection was cut."""
    cut = evidence["cut_load"]
    if cut["refused"]:
        raise CannotTellError(f"Airflow refused the run whose load was to be cut: {cut['refused']}")
    before, after = cut["before"]["raw_trips"], cut["tables"]["raw_trips"]
    expected, states = f"{cut['month']} failed", states_table(cut["runs"])
    if any(run["state"] == "success" for run in cut["runs"]):
        return Finding(
            False, "The connection was cut in the middle of the load, and yet the run is green.", expected, states,
            "An error is caught and not raised again, or the rows don't pass through raw_trips.",
        )  # fmt: skip
    if not cut["in_time"]:
        return Finding(
            False, "The connection was cut in the middle of the load, and the run did not end.", expected, states,
            out_of_time(cut),
        )  # fmt: skip
    if after is None or before["digest"] != after["digest"]:
        return Finding(
            False, f"A load of {cut['month']} that was cut half-way left other rows in raw_trips than before.",
            rows_table(before), changed_table(before, after),
            "Deleting and loading are committed one after the other. Do both on one connection, in one transaction.",
        )  # fmt: skip
    return Finding(True, f"A load of {cut['month']} that was cut half-way failed, and left every row as it was.")
