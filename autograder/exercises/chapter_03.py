"""Checkers of chapter 03, Scheduling and triggers."""

import subprocess
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from autograder.airflow_api import AirflowApi
from autograder.exercises import as_given, checks
from autograder.exercises.facts import settings

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
A_YEAR_OF_WEEKDAYS = 262


@checks("03.1")
def weekdays_at_six() -> str:
    """Airflow's next runs of the DAG are those of every weekday at 06:00 in Amsterdam, for a year."""
    found = settings("exercise_03_1")
    assert found["timetable_summary"], "The DAG has no schedule: schedule=None means that it runs by hand only."
    assert not found["catchup"], "The past does not need to be made up for: set catchup=False."
    runs = [run.astimezone(AMSTERDAM) for run in _next_runs("exercise_03_1")]
    wanted = runs[0]
    for run in runs:
        assert run.time() == time(6), (
            f"A run would be at {run:%H:%M} in Amsterdam, on {run:%A %d %B %Y}. It should be at 06:00, all year round."
        )
        assert run.weekday() < 5, f"A run would be on {run:%A %d %B %Y}, which is no weekday."
        assert run.date() == wanted.date(), f"There would be no run on {wanted:%A %d %B %Y}; the next is {run:%d %B}."
        wanted = run + timedelta(days=3 if run.weekday() == 4 else 1)
    return f"From {runs[0]:%d %B %Y} to {runs[-1]:%d %B %Y}, every weekday has its run at 06:00, in summer and winter."


@checks("03.2")
def runs_of_a_catchup(number_of_runs: int | None, last_logical_date: str | None) -> str:
    """Both predictions are what Airflow did."""
    number = as_given(number_of_runs, int, "number_of_runs")
    last = as_given(last_logical_date, str, "last_logical_date")
    api = AirflowApi.from_environment()
    runs = [run["logical_date"][:10] for run in api.runs("exercise_03_2") if run["run_type"] == "scheduled"]
    assert runs, "exercise_03_2 has no run yet. Run the cell above this one, which unpauses it."
    assert not api.run_due("exercise_03_2"), "Airflow is still creating runs. Run this cell again in a moment."
    assert number == len(runs), (
        f"You wrote {number}. Count the days on which @weekly runs, from the start date to the end date."
    )
    assert last == max(runs), (
        f"The number is right, but the last run is not that of {last}. Which day of the week is it?"
    )
    return f"The runs are those of {', '.join(sorted(runs))}: each Sunday between the two dates."


def _next_runs(dag_id: str) -> list[datetime]:
    """Ask `airflow dags next-execution`, which answers from what Airflow stored."""
    command = ["airflow", "dags", "next-execution", dag_id, "--num-executions", str(A_YEAR_OF_WEEKDAYS)]
    done = subprocess.run([*command, "--field", "run_after"], capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in done.stdout.splitlines() if line[:2].isdigit()]
    assert len(lines) == A_YEAR_OF_WEEKDAYS, (
        f"Airflow knows of {len(lines)} next runs. Does the schedule end, as by an end_date? {done.stderr[-300:]}"
    )
    return [datetime.fromisoformat(line) for line in lines]
