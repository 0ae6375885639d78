"""Checkers of chapter 02, Airflow fundamentals."""

import re

from autograder.airflow_api import AirflowApi
from autograder.exercises import as_given, checks
from autograder.exercises.facts import graph, newest_run, states


@checks("02.1")
def pass_it_on() -> str:
    """Look in the newest run for what ingest and double have returned, and that show has run."""
    found = graph("exercise_02_1")
    assert {"double", "show"} <= set(found), (
        f"The DAG has the tasks {sorted(found)}. A function under @task becomes a task when it is called."
    )
    assert "double" in found["ingest"], "double does not wait for ingest. Give it what ingest() returns."
    assert "show" in found["double"], "show does not wait for double. Give it what double(…) returns."
    run = newest_run("exercise_02_1")["dag_run_id"]
    ended = states("exercise_02_1", run)
    assert all(ended.get(task) == "success" for task in ("ingest", "double", "show")), (
        f"In the newest run the tasks are {ended}. Run the DAG again after you have changed the file."
    )
    values = _returned("exercise_02_1", run)
    number, twice = values.get("ingest"), values.get("double")
    assert twice is not None, "double returned nothing. Without a return there is no XCom."
    assert twice == str(2 * int(number or 0)), f"ingest returned {number}, and double {twice}, not twice as much."
    return f"ingest returned {number}, double {twice}, and show got it: two XComs, in the metadata database."


@checks("02.2")
def an_operator_that_knows() -> str:
    """Look in the newest run for what say has printed, beside what ingest has returned."""
    assert "say" in graph("exercise_02_2")["ingest"], "say does not wait for ingest: state it with >>."
    run = newest_run("exercise_02_2")["dag_run_id"]
    ended = states("exercise_02_2", run)
    assert ended.get("say") == "success", f"In the newest run the tasks are {ended}. Read the log of the failed one."
    values = _returned("exercise_02_2", run)
    number, printed = values.get("ingest"), values.get("say") or ""
    assert printed.strip('"') == f"There are {number} trips", (
        f"ingest returned {number}, and say printed {printed!r}. It should print {f'There are {number} trips'!r}."
    )
    return f"say printed {printed!r}. Look at its rendered template: that text was made during the run."


@checks("02.3")
def the_word(word: str | None) -> str:
    """Compare the word with the one in the log of the newest run."""
    given = as_given(word, str, "word").strip().strip(".")
    run = newest_run("exercise_02_3")["dag_run_id"]
    api = AirflowApi.from_environment()
    task = next(one for one in api.task_instances("exercise_02_3", run) if one["task_id"] == "whisper")
    said = re.search(r"The word is (\w+)", api.log_text(task))
    assert said, f"In the newest run whisper is {task['state']} and has printed no word yet. Wait for the run's end."
    assert given == said[1], f"{given!r} is not what the newest run printed. Each run has a word of its own."
    return "The log of whisper had it. The failed task's log says only what went wrong there."


def _returned(dag_id: str, run_id: str) -> dict[str, str]:
    """Return what each task of a run has returned, as text."""
    found = AirflowApi.from_environment().xcoms(dag_id, run_id)
    return {one["task_id"]: str(one["value"]) for one in found if one["key"] == "return_value"}
