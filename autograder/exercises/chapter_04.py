"""Checkers of chapter 04, Sequential pipeline steps."""

from collections.abc import Callable
from typing import Any

from autograder.exercises import as_given, checks
from autograder.exercises.facts import graph, newest_run, states


@checks("04.1")
def a_diamond() -> str:
    """Extract comes first, clean and enrich side by side, load last."""
    found = graph("exercise_04_1")
    for task in ("extract", "clean", "enrich", "load"):
        assert task in found, f"The task {task} is gone from the DAG. All four should stay."
    drawn = "; ".join(f"{task} >> {sorted(later)}" for task, later in found.items() if later) or "no order at all"
    assert found["extract"] == {"clean", "enrich"}, (
        f"clean and enrich should both wait for extract. Airflow has {drawn}."
    )
    assert "enrich" not in found["clean"], (
        f"enrich should not wait for clean: they run side by side. Airflow has {drawn}."
    )
    assert "clean" not in found["enrich"], (
        f"clean should not wait for enrich: they run side by side. Airflow has {drawn}."
    )
    for task in ("clean", "enrich"):
        assert found[task] == {"load"}, f"load should wait for {task}. Airflow has {drawn}."
    assert not found["load"], f"Nothing comes after load. Airflow has {drawn}."
    return "extract comes first, clean and enrich wait for it, and load waits for both."


@checks("04.2")
def clean_up_always() -> str:
    """In the newest run, load has failed and clean_up has run."""
    run = newest_run("exercise_04_2")
    found = states("exercise_04_2", run["dag_run_id"])
    assert found.get("load") == "failed", (
        f"load should fail: leave it as it is. In the newest run it is {found.get('load')}."
    )
    assert "clean_up" in found, f"The newest run has no task clean_up, but {sorted(found)}."
    assert found["clean_up"] == "success", (
        f"In the newest run clean_up is {found['clean_up']}: it did not run after the failure of load."
    )
    order = graph("exercise_04_2")["load"]
    assert order == {"clean_up"}, "clean_up should still wait for load. Put `load() >> clean_up()` back."
    return (
        f"load failed, and clean_up ran. Note the state of the run: {run['state']}. Airflow takes it from the "
        "last tasks, so a task that always succeeds at the end can hide a failure."
    )


@checks("04.3")
def a_choice_that_survives_a_retry(choose: Callable[[int, int], Any]) -> str:
    """Count whenever what is counted differs from what is loaded."""
    given = as_given(choose, Callable, "choose")  # type: ignore[arg-type]
    for loaded, counted, wanted, case in (
        (2000, 0, "build_counts", "a first load"),
        (2000, 2000, "report", "a repetition with everything done"),
        (1900, 0, "build_counts", "a retry after the gate had stopped the first attempt"),
        (0, 0, "report", "an empty month"),
    ):
        returned = given(loaded, counted)
        assert returned == wanted, f"choose({loaded}, {counted}) returned {returned!r}, not {wanted!r}. This is {case}."
    return "It looks at what is left to do, so it does not matter which attempt loaded the rows."
