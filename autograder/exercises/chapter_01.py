"""Checkers of chapter 01, Introduction to orchestration."""

from autograder.exercises import as_given, checks
from autograder.exercises.facts import graph, newest_run, states
from autograder.teaching.inbox import received
from autograder.waiting import seconds

CHAIN = ("ingest", "transform", "test", "notify")
STARTED = ("success", "failed")


@checks("01.1")
def the_graph() -> str:
    """Look for a chain of the four steps, and for archive behind ingest alone."""
    found = graph("exercise_01_1")
    for task in (*CHAIN, "archive"):
        assert task in found, f"The task {task} is gone from the DAG. All five should stay."
    drawn = "; ".join(f"{task} >> {sorted(later)}" for task, later in found.items() if later) or "no order at all"
    wanted = {"ingest": {"transform", "archive"}, "transform": {"test"}, "test": {"notify"}}
    for task, later in found.items():
        for other in wanted.get(task, set()) - later:
            raise AssertionError(f"{other} should wait for {task}. Airflow has {drawn}.")
        for other in later - wanted.get(task, set()):
            raise AssertionError(f"{other} need not wait for {task} directly. Airflow has {drawn}.")
    return "One chain of four, and archive beside it: if archive fails, the report still comes out."


@checks("01.2")
def what_starts(script_starts: int | None, dag_starts: int | None) -> str:
    """Compare both numbers with what the script and the newest run of the DAG did."""
    script = as_given(script_starts, int, "script_starts")
    in_dag = as_given(dag_starts, int, "dag_starts")
    found = states("exercise_01_2", newest_run("exercise_01_2")["dag_run_id"])
    started = [task for task in CHAIN if found.get(task) in STARTED]
    assert script == len(CHAIN), (
        f"script_starts is {script}. Each step of the script prints its name as it starts: count the lines."
    )
    assert in_dag == len(started), (
        f"dag_starts is {in_dag}. In the newest run the tasks are {found}: which of them have started?"
    )
    return f"The script started all {len(CHAIN)}. Airflow started {' and '.join(started)}, and held the others back."


@checks("01.3")
def a_deadline() -> str:
    """Look for the notification that a late run has sent."""
    run = newest_run("exercise_01_3")
    came = received("exercise_01_3")
    assert came, (
        "No notification of exercise_01_3 has come. Run the DAG again after you have changed the file: a run that was "
        "created before has no deadline."
    )
    assert run["end_date"], "The newest run of exercise_01_3 has not ended yet. Check again in a moment."
    if seconds(came[-1]["time"]) < seconds(run["end_date"]):
        return "The message was sent while the run was still going on: a deadline does not wait for the end of a run."
    return "The message was sent."
