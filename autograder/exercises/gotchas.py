"""Checkers of the gotchas."""

from autograder.airflow_api import AirflowApi
from autograder.exercises import as_given, checks
from autograder.exercises.facts import pickup_months, query, settings

LOAD, FORECAST = "exercise_gotchas_1", "exercise_gotchas_2"
MONTH, UNPUBLISHED = "2024-02", "2024-08"
FORECAST_RUNS = 5
"""Fewer runs than these are there while the cell that makes them has not been run to its end."""


@checks("gotchas.1")
def four_traps() -> str:
    """Two loads of February leave its own rows, each once; one of August has failed."""
    settings(LOAD)
    api = AirflowApi.from_environment()
    states: dict[str, list[str]] = {MONTH: [], UNPUBLISHED: []}
    loads = 0
    for run in api.runs(LOAD):
        if (month := (run["logical_date"] or "")[:7]) in states:
            states[month].append(run["state"])
            if month == MONTH:
                loads += sum(len(api.tries(task)) for task in api.task_instances(LOAD, run["dag_run_id"]))
    assert states[MONTH], f'There is no run of February yet. Run the DAG with run_dag("{LOAD}", "{MONTH}-01"), twice.'
    assert states[MONTH][-1] == "success", f"The run of {MONTH} is {states[MONTH][-1]}. Look at its log with task_log."
    assert loads > 1, "February was loaded once. Whether that can be repeated shows the second time."
    found = query("SELECT to_regclass('{schema}.exercise_gotchas') IS NOT NULL AS there")
    assert found["there"][0], "There is no table exercise_gotchas. The load should make it, as before."
    rows = query(
        "SELECT to_char(pickup, 'YYYY-MM') AS month, count(*) AS rows FROM {schema}.exercise_gotchas GROUP BY 1"
    )
    counts = {str(month): int(number) for month, number in zip(rows["month"], rows["rows"], strict=True)}
    assert counts, "The table is empty, though the run is green. Which month did it ask for, and what did it get?"
    others = sorted(set(counts) - {MONTH})
    assert not others, (
        f"There are rows of {', '.join(others)}. If your earlier tries left them, remove them once: DROP TABLE "
        "exercise_gotchas. If they come back, the load takes rows that are not of its month."
    )
    own = pickup_months(MONTH)[MONTH]
    assert counts[MONTH] == own, (
        f"February has {counts[MONTH]} rows; its file has {own} that are dated in February. Does the load replace them?"
    )
    assert states[UNPUBLISHED], f'And what of a month that is not published? run_dag("{LOAD}", "{UNPUBLISHED}-01")'
    assert states[UNPUBLISHED][-1] == "failed", (
        f"The run of {UNPUBLISHED} is {states[UNPUBLISHED][-1]}, though there is no such file. Let the error out."
    )
    return f"Loaded {loads} times, and February has its {own} rows, each once. August is red, as it should be."


@checks("gotchas.2")
def predict_the_runs(runs_in_all: int | None, with_a_task: int | None) -> str:
    """Both numbers are those of the runs that are there."""
    first = as_given(runs_in_all, int, "runs_in_all")
    second = as_given(with_a_task, int, "with_a_task")
    api = AirflowApi.from_environment()
    runs = api.runs(FORECAST)
    assert len(runs) >= FORECAST_RUNS, f"{FORECAST} has {len(runs)} runs so far. Run the cell that makes them."
    worked = {task["dag_run_id"] for task in api.task_instances(FORECAST) if task["state"]}
    types = ", ".join(sorted(run["run_type"] for run in runs))
    assert first == len(runs), f"runs_in_all is {first}. The types of the runs that are there: {types}."
    assert second == len(worked), (
        f"with_a_task is {second}. Look at grid({FORECAST!r}): which run has no state of load?"
    )
    return f"{types}: the scheduled one came from unpausing. The run before the start date is green, and did nothing."
