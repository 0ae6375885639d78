"""The checks of the Stretch tier: what goes wrong half-way does no harm."""

from autograder.checks.rules import Evidence, Finding, check, months_table, states_table


@check("stretch.atomic-load", needs=("target.idempotent",))
def atomic_load(evidence: Evidence) -> Finding:
    """Look for a failed run that left the table as it was, after its connection was cut."""
    cut = evidence["cut_load"]
    before, after = cut["before"]["raw_trips"], cut["tables"]["raw_trips"]
    states = states_table(cut["runs"])
    if any(run["state"] == "success" for run in cut["runs"]):
        return Finding(
            False, "The connection was cut in the middle of the load, and yet the run is green.",
            "the run failed", states,
            "An error is caught and not raised again, or the rows don't pass through raw_trips.",
        )  # fmt: skip
    if after is None or before["digest"] != after["digest"]:
        lost = months_table(after["months"]) if after else "no table"
        return Finding(
            False, f"A load of {cut['month']} that was cut half-way left other rows in raw_trips than before.",
            months_table(before["months"]), lost,
            "Deleting and loading are committed one after the other. Do both on one connection, in one transaction.",
        )  # fmt: skip
    return Finding(True, f"A load of {cut['month']} that was cut half-way failed, and left every row as it was.")
