"""Checkers of chapter 05, Parameterized runs and backfills."""

from autograder.airflow_api import AirflowApi
from autograder.exercises import as_given, checks
from autograder.exercises.facts import query
from autograder.waiting import seconds

DAG_ID = "taxi_pipeline"
FIRST, LAST = "2024-01-01T00:00:00Z", "2024-07-01T00:00:00Z"


@checks("05.1")
def march_by_hand() -> str:
    """One run by hand has March as its month, is green, and has left March's rows as they should be."""
    runs = [run for run in AirflowApi.from_environment().runs(DAG_ID) if run["run_type"] == "manual"]
    march = [run for run in runs if (run["logical_date"] or "").startswith("2024-03")]
    others = [run["logical_date"] for run in runs if run["logical_date"] and run not in march]
    assert march, (
        f"No run by hand has a logical date in March 2024; there are runs by hand of {', '.join(others) or 'no date'}. "
        "Trigger one that has."
    )
    state = march[-1]["state"]
    assert state == "success", f"Your run of March is {state}. Wait for it, or read the log of the task that failed."
    month = "SELECT count(*) FROM {schema}.%s WHERE date_trunc('month', %s) = '2024-03-01'"
    raw = int(query(month % ("raw_trips", "lpep_pickup_datetime")).iloc[0, 0])
    fct = int(query(month % ("fct_trips", "pickup_month")).iloc[0, 0])
    assert raw == fct > 0, f"raw_trips has {raw} trips of March and fct_trips {fct}; they should be equal, and not 0."
    return f"Your run loaded March again: {raw} trips, in raw_trips as in fct_trips, each there once."


@checks("05.2")
def two_backfills(with_failed: int | None, with_august: int | None) -> str:
    """Both numbers are what the runs that are there make of the two commands."""
    first = as_given(with_failed, int, "with_failed")
    second = as_given(with_august, int, "with_august")
    dated = [run for run in AirflowApi.from_environment().runs(DAG_ID) if run["logical_date"]]
    seven = [run for run in dated if seconds(FIRST) <= seconds(run["logical_date"]) <= seconds(LAST)]
    on_schedule = {run["logical_date"][:7]: run["state"] for run in seven if run["logical_date"][8:10] == "01"}
    failed = sum(state == "failed" for state in on_schedule.values())
    missing = 8 - len(on_schedule)
    assert first == failed, (
        f"with_failed is {first}. Look at the state of each of the seven runs: which of them does this option repeat?"
    )
    assert second == missing, (
        f"with_august is {second}. Without the option only dates get a run that have none: count those of the eight."
    )
    return "A dry run says the same: add --dry-run to either command."
