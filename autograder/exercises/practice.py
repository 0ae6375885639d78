"""Checkers of the practice notebook: each looks at what the student's own taxi_pipeline has really done."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from autograder.airflow_api import ENDED, AirflowApi, Record
from autograder.checks.documents import sections, words
from autograder.exercises import as_given, checks
from autograder.exercises.facts import graph, pickup_months, states, tasks
from autograder.teaching.inbox import received
from autograder.teaching.source_control import requests
from autograder.teaching.testing import dag_source, outcomes
from autograder.teaching.warehouse import rows_per_month
from autograder.waiting import seconds

DAG_ID, INGEST = "taxi_pipeline", "ingest_taxi_month"
SEVEN = tuple(f"2024-{month:02}" for month in range(1, 8))
FAILED_TRIES = 2

KEPT = """

def own_rows(content, month):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    served = pq.read_table(io.BytesIO(content))
    return served.filter({}).select(list(COLUMNS))
"""
OWN_ROWS_BUGS = {
    "own_rows keeps the rows of all months": KEPT.format("pc.is_valid(served['lpep_pickup_datetime'])"),
    "own_rows keeps the same month of every year": KEPT.format(
        "pc.equal(pc.strftime(served['lpep_pickup_datetime'], '%m'), month[-2:])"
    ),
}
"""What each bug is called, and the lines at the file's end that make it."""

RUNBOOK = Path("work/practice_runbook.md")
SECTIONS = {"What you see": "you see", "What it means": "it means", "What to do": "to do"}
FEWEST_WORDS = 5
REPAIR = re.compile(r"airflow +(?:tasks +clear|dags +(?:trigger|clear)|backfill +create)\b[^\n`]*")


@checks("practice.1")
def the_graph(order: list[str], never_start: dict[str, int | None]) -> str:
    """Compare the order and the numbers with the graph that Airflow has stored."""
    downstream = graph(DAG_ID)
    given = as_given(order, list, "order")
    assert given, "order is empty: write the task ids into the list, the first one first."
    assert sorted(given) == sorted(downstream), (
        f"order has {', '.join(map(str, given))}, and the graph {', '.join(sorted(downstream))}: each of them once."
    )
    for task, later in downstream.items():
        for other in later:
            assert given.index(task) < given.index(other), (
                f"{other} cannot run before {task}: an arrow leads from {task} to {other}."
            )
    for task in downstream:
        number = as_given(as_given(never_start, dict, "never_start").get(task), int, f'never_start["{task}"]')
        assert number == len(_behind(downstream, task)), (
            f'never_start["{task}"] is {number}. Count the tasks that lie behind {task}, not only the next one, and '
            "not the failed one itself."
        )
    return "A failure stops all that lies behind it. That is the failure gate, read off the graph."


@checks("practice.2")
def february(rows: int | None) -> str:
    """Look for a green run of February, triggered for this exercise, and compare the number with its rows."""
    run = max(_of_february(), key=_made)
    assert run["state"] == "success", (
        f"Your newest run of February is {run['state']}, its tasks are {states(DAG_ID, run['dag_run_id'])}. Wait for "
        "its end, or read the log of the task that failed."
    )
    given = as_given(rows, int, "february")
    raw, fct = _rows("2024-02")
    assert given == raw, (
        f"february is {given}, and that is not what raw_trips holds of February. Count the trips whose pickup lies "
        "in February, and of no other month."
    )
    assert raw == fct > 0, f"raw_trips has {raw} trips of February and fct_trips {fct}. Has dbt_run ended green?"
    return f"{raw} trips of February, in raw_trips as in fct_trips."


@checks("practice.3")
def elsewhere(given: dict[str, int] | None) -> str:
    """Compare with the months in February's file."""
    months = as_given(given, dict, "elsewhere")
    counted = pickup_months("2024-02")
    assert "2024-02" not in months, "February's own trips belong to February. Leave 2024-02 out of the dict."
    wanted = {month: number for month, number in counted.items() if month != "2024-02"}
    assert set(months) == set(wanted), (
        f"elsewhere has {len(months)} months, and {len(set(months) & set(wanted))} of them are in the file, which has "
        f"{len(wanted)} besides February. Write a month as in 2023-11."
    )
    wrong = sorted(month for month in wanted if months[month] != wanted[month])
    assert not wrong, f"The months are right. The number of {', '.join(wrong)} is not: count the trips of that month."
    return f"{sum(wanted.values())} trips that the load leaves out, and says so in the task's log."


@checks("practice.4")
def unpublished(expected: dict[str, str | None], number_of_tries: int | None) -> str:
    """Compare states and tries with those of the newest run of August."""
    given = as_given(expected, dict, "expected")
    run = _newest_of("2024-08")
    found = states(DAG_ID, run["dag_run_id"])
    assert run["state"] in ENDED, (
        f"Your run of August is {run['state']}, its tasks are {found}. Wait for its end. A task that is up_for_retry "
        "asks again for a file that will not be there."
    )
    assert run["state"] == "failed", f"Your run of August is {run['state']}, without a file: read the log of {INGEST}."
    open_tasks = [task for task in found if not given.get(task)]
    assert not open_tasks, f"Write down a state for {', '.join(open_tasks)} as well."
    wrong = [task for task, state in found.items() if given[task] != state]
    assert not wrong, (
        f"Not as Airflow has it: {', '.join(wrong)}. Look at the run's states; Airflow writes them in lower case, "
        "with underscores."
    )
    number = as_given(number_of_tries, int, "number_of_tries")
    really = len(_tries(run))
    assert number == really, f"number_of_tries is {number}. The states are right: now look at the tries of {INGEST}."
    return f"Tries of {INGEST}: {really}. Nothing was loaded, and dbt did not run on old data."


@checks("practice.5")
def busy(minutes: float | None) -> str:
    """Look for a run of March that failed twice and is green, and at the task's retry delay."""
    run = _busy_run()
    assert run["state"] == "success", (
        f"A run of March met the busy source and is {run['state']}: its tasks are {states(DAG_ID, run['dag_run_id'])}. "
        "Clear the task that waits, or wait for the end."
    )
    assert minutes is not None, "minutes is not there yet: after how long does Airflow itself try again?"
    delay = tasks(DAG_ID)[INGEST]["retry_delay"]
    wanted = (delay["days"] * 86400 + delay["seconds"]) / 60
    assert isinstance(minutes, int | float), f"minutes should be a number, and is {minutes!r}."
    assert minutes == wanted, (
        f"minutes is {minutes}, and the DAG says something else. Look at retry_delay, and count in minutes."
    )
    return f"{len(_tries(run))} tries: the source was busy twice, then it served the file, and nobody changed the DAG."


@checks("practice.6")
def who_was_told(messages: dict[str, int | None]) -> str:
    """Count the notifications of both runs."""
    given = as_given(messages, dict, "messages")
    runs = {"August": _newest_of("2024-08"), "March": _busy_run()}
    assert runs["August"]["state"] != "failed" or received(runs["August"]["dag_run_id"]), (
        "No message of your run of August is there. It may come some seconds after the run's end. If you have stopped "
        "Airflow since then, its messages are gone: run August once more."
    )
    for name, run in runs.items():
        assert run["state"] in ENDED, f"The run of {name} is {run['state']}. Wait for its end."
        number = as_given(given.get(name), int, f'messages["{name}"]')
        came = len(received(run["dag_run_id"]))
        assert number == came, (
            f'messages["{name}"] is {number}. Count the messages with the run id {run["dag_run_id"]} in them.'
        )
    return "A message is sent when a run has failed for good. Tries that are repeated send none."


@checks("practice.7")
def seven_months(total: int | None) -> str:
    """Look for a backfill of the seven months, made here, one at a time and green, and at their rows."""
    begun = _begun()
    made = AirflowApi.from_environment().backfills(DAG_ID)
    here = [one for one in made if seconds(one["created_at"]) > begun]
    seven = [one for one in here if (_month(one["from_date"]), _month(one["to_date"])) == (SEVEN[0], SEVEN[-1])]
    ranges = ", ".join(f"{one['from_date'][:10]} to {one['to_date'][:10]}" for one in here) or "none"
    assert seven, (
        f"No backfill since exercise 2 goes from January to July 2024. Backfills of {DAG_ID} since then: {ranges}; "
        f"before it: {len(made) - len(here)}."
    )
    at_once = seven[-1]["max_active_runs"]
    assert at_once == 1, (
        f"Your backfill may have {at_once} runs active at once, and two dbt runs in one schema get in each other's "
        "way. Create it again with the option that makes it one, and the one that repeats runs."
    )
    on_schedule = {_month(run["logical_date"]): run["state"] for run in _dated() if run["logical_date"][8:10] == "01"}
    rest = {month: on_schedule.get(month, "not there") for month in SEVEN if on_schedule.get(month) != "success"}
    assert not rest, f"Not green: {rest}. Wait for them, or read the log of the first one that failed."
    _assert_repeated(SEVEN, seven[-1])
    rows = {month: _rows(month) for month in SEVEN}
    unequal = [month for month, (raw, fct) in rows.items() if raw != fct or not raw]
    assert not unequal, f"In {', '.join(unequal)} raw_trips and fct_trips differ, or are empty: {rows}."
    given = as_given(total, int, "total")
    assert given == sum(fct for _, fct in rows.values()), (
        f"total is {given}. Add up fct_trips of the seven months, January to July 2024, and of no other month."
    )
    return f"Seven runs, one after another, and {given} trips."


@checks("practice.8")
def two_months_again(before: pd.DataFrame, after: pd.DataFrame | None) -> str:
    """Look whether the newest backfill has repeated February and March alone, and compare the rows."""
    counted = as_given(after, pd.DataFrame, "after")
    newest = AirflowApi.from_environment().latest_backfill(DAG_ID)
    assert newest, f"{DAG_ID} has no backfill yet."
    first, last = newest["from_date"], newest["to_date"]
    assert (_month(first), _month(last)) == ("2024-02", "2024-03"), (
        f"Your newest backfill goes from {first[:10]} to {last[:10]}. It should hold February and March, and no other "
        "month."
    )
    _assert_repeated(("2024-02", "2024-03"), newest)
    open_runs = [
        _month(run["logical_date"]) for run in _dated() if _in_backfill(run, newest) and run["state"] != "success"
    ]
    assert not open_runs, f"Not green: the runs of {', '.join(open_runs)}. Wait for them."
    assert not as_given(before, pd.DataFrame, "before").empty, "before is empty: nothing was loaded when you counted."
    assert counted.equals(before), (
        f"before and after differ. Before:\n{before.to_string(index=False)}\nAfter:\n{counted.to_string(index=False)}"
    )
    assert counted.equals(rows_per_month()), "after is not what the warehouse holds now: count once more."
    return f"February and March were loaded again, and all {len(counted)} months have the rows of before."


@checks("practice.9")
def without_a_date(asked_for: str | None, came_from: str | None) -> str:
    """Compare with what the newest run without a date has asked the source for."""
    month = as_given(asked_for, str, "asked_for")
    begun = _begun()
    undated = [run for run in _runs() if run["logical_date"] is None and _made(run) > begun]
    assert undated, (
        f"{DAG_ID} has no run without a logical date since exercise 2: trigger one of your own and give it no date."
    )
    run = undated[-1]
    assert run["state"] in ENDED, f"Your run without a date is {run['state']}. Wait for its end."
    asked = {
        found[1]
        for one in requests("green_tripdata_")
        if seconds(run["start_date"]) <= seconds(one["time"]) <= seconds(run["end_date"])
        and (found := re.search(r"green_tripdata_(.+)\.parquet", one["path"]))
    }
    assert asked, f"That run asked for no month's file. Read the log of {INGEST}: does it need a logical date?"
    assert month in asked, (
        f"asked_for is {month!r}, and the source was asked for another month. Look at the last lines of "
        "source_requests(), and write the month as in 2023-11."
    )
    source = as_given(came_from, str, "came_from")
    had = ", ".join(f"{key}={run[key]}" for key in ("logical_date", "run_after", "conf"))
    assert source == "run_after", f"came_from is {source!r}. The run has {had}: which of them is a date in {month}?"
    return f"Without a date it took {month} from run_after, {run['run_after'][:16]}; the run is {run['state']}."


@checks("practice.10")
def a_test_of_own_rows() -> str:
    """Run the tests on the student's taxi_pipeline, where they pass, and on each bug, where they fail."""
    tests, file = "work/tests/test_practice.py", "taxi_pipeline.py"
    assert Path(tests).is_file(), f"There is no {tests} yet. Run the cell that writes it."
    source = dag_source(file)
    assert "def own_rows(" in source, (
        f"Your {file} has no function own_rows any more. Try this exercise with the file of chapter 5, or test the "
        "function of yours that keeps a month's rows."
    )
    (_, own), *_ = outcomes([tests], file, {"own": source})
    assert own.code != 5, f"pytest finds no test in {tests}. A test is a function whose name begins with test_."
    assert own.code == 0, f"On {file} as it is, the tests should pass. pytest says:\n{own.output[-1500:]}"
    for name, one in outcomes([tests], file, {name: source + lines for name, lines in OWN_ROWS_BUGS.items()}):
        assert one.code != 0, f"Your tests also pass on a version of {file} with this bug: {name}."
    return f"Your tests pass on {file} as it is, and find {len(OWN_ROWS_BUGS)} of {len(OWN_ROWS_BUGS)} bugs."


@checks("practice.11")
def an_incident(cause: str | None) -> str:
    """Look whether May failed on a damaged file and was loaded since, and for the entry."""
    given = as_given(cause, str, "cause").strip().lower()
    may = [run for run in _runs() if _month(run["logical_date"]) == "2024-05"]
    failed = [one["end_date"] or "" for run in may for one in _tries(run) if one["state"] not in ("success", "running")]
    assert failed, "No run of May has failed yet. Run the cell that makes the incident."
    assert given == "b", (
        f"cause is {given!r}. The log says what the task made of the file, and source_requests('2024-05') with which "
        "status and how many bytes it came."
    )
    green = [run for run in may if run["state"] == "success" and (run["end_date"] or "") > max(failed)]
    assert green, (
        f"The cause is right. May is not loaded since then: its newest run is {may[-1]['state']}. Clear it, or trigger "
        "another one, and wait for its end."
    )
    assert RUNBOOK.is_file(), f"There is no {RUNBOOK} yet. Run the cell that writes it."
    found = sections(RUNBOOK.read_text(encoding="utf-8"), SECTIONS)
    for name in SECTIONS:
        assert words(found.get(name, "")) >= FEWEST_WORDS, f"May is loaded. The section {name!r} is not written yet."
    command = REPAIR.search(found["What to do"])
    assert command, "What to do has no whole command, `airflow tasks clear …` or `airflow dags trigger …`."
    for text in (DAG_ID, "2024-05"):
        assert text in command[0], f"`{command[0]}` cannot be typed as it stands to load May: it has no {text} in it."
    return "May is back. Whoever is on call next has the line that you did not have."


def _behind(downstream: dict[str, set[str]], task: str) -> set[str]:
    """Return all tasks that wait for a task, directly or not."""
    return downstream[task] | {far for near in downstream[task] for far in _behind(downstream, near)}


def _runs() -> list[Record]:
    return AirflowApi.from_environment().runs(DAG_ID)


def _dated() -> list[Record]:
    return [run for run in _runs() if run["logical_date"]]


def _month(date: str | None) -> str:
    return (date or "")[:7]


def _made(run: Record) -> float:
    """Return when somebody triggered a run, as seconds since 1970: its `run_after`, which clearing leaves alone."""
    return seconds(run["run_after"])


def _of_february() -> list[Record]:
    """Return the runs of February that somebody has triggered; chapter 5 leaves others, which its backfills made."""
    february = [run for run in _dated() if _month(run["logical_date"]) == "2024-02"]
    # A backfill that repeats a run changes its type, and not its id.
    own = [run for run in february if not run["dag_run_id"].startswith(("backfill__", "scheduled__"))]
    assert own or february, f"{DAG_ID} has no run with a logical date in February 2024 yet. Trigger one."
    taken = ", ".join(run["dag_run_id"] for run in february)
    assert own, (
        f"You have triggered no run of February: {taken} comes from a backfill. Trigger one of your own, with a day of "
        "February that no run has."
    )
    return own


def _begun() -> float:
    """Return when the student's own work here began, as seconds since 1970: with the first run of exercise 2."""
    try:
        return min(_made(run) for run in _of_february())
    except AssertionError as error:
        raise AssertionError(
            "This exercise counts what you have done since exercise 2, and that one is not there yet. Do it first."
        ) from error


def _assert_repeated(months: Sequence[str], backfill: Record) -> None:
    """Assert that the run of each month began after a backfill was created; one that waits has no beginning yet."""
    began = {_month(run["logical_date"]): run["start_date"] for run in _dated() if _in_backfill(run, backfill)}
    created = seconds(backfill["created_at"])
    old = [month for month in months if began.get(month) and seconds(began[month]) < created]
    assert not old, (
        f"Your newest backfill of these months did not repeat the runs that were there before it: {', '.join(old)}. "
        "Which --reprocess-behavior repeats a run that has succeeded?"
    )


def _newest_of(month: str) -> Record:
    """Return the run of a month that was started last."""
    found = [run for run in _dated() if _month(run["logical_date"]) == month]
    assert found, f"{DAG_ID} has no run with a logical date in {month} yet. Trigger one."
    return max(found, key=lambda run: run["start_date"] or "9")


def _tries(run: Record) -> list[Record]:
    """Return the tries of a run's first task, each once."""
    api = AirflowApi.from_environment()
    ingest = next((one for one in api.task_instances(DAG_ID, run["dag_run_id"]) if one["task_id"] == INGEST), None)
    assert ingest, f"{DAG_ID} has no task {INGEST}."
    return list({one["try_number"]: one for one in api.tries(ingest) if one["start_date"]}.values())


def _busy_run() -> Record:
    """Return the newest run of March whose first task has failed twice."""
    march = [run for run in _dated() if _month(run["logical_date"]) == "2024-03"]
    assert march, f"{DAG_ID} has no run with a logical date in March 2024 yet. Trigger one."
    failed = [sum(one["state"] != "success" for one in _tries(run)) for run in march]
    found = [run for run, number in zip(march, failed, strict=True) if number >= FAILED_TRIES]
    assert found, (
        f"Your newest run of March is {march[-1]['state']}. Failed tries of {INGEST} in it: {failed[-1]}; the "
        "source should have been busy twice. While the task waits for a retry, clear it. If the run has ended, run "
        "the cell with source_fault again and trigger March with another day."
    )
    return found[-1]


def _in_backfill(run: Record, backfill: Record) -> bool:
    """Return whether a run is one of a backfill's dates: the first of a month that it spans."""
    date = seconds(run["logical_date"])
    return run["logical_date"][8:10] == "01" and seconds(backfill["from_date"]) <= date <= seconds(backfill["to_date"])


def _rows(month: str) -> tuple[int, int]:
    """Return how many trips of a month stand in raw_trips and in fct_trips."""
    counted = rows_per_month().set_index("month")
    if month not in counted.index:
        return 0, 0
    return int(counted.loc[month, "raw_trips"]), int(counted.loc[month, "fct_trips"])
