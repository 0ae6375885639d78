"""What a submission's runs are put through, one after the other on one Airflow.

Contract: `play` takes a `Stage` and returns the parts of the evidence that have to do with runs. A scenario that
cannot begin, because an earlier one showed that there is nothing to run, is left out.
"""

import calendar
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from autograder.airflow_api import AirflowApi
from autograder.airflow_local.local import MONTHS
from autograder.observe import history, warehouse
from autograder.observe.stage import RUN_LIMIT, Part, Stage, Told

DAG_ID = "taxi_pipeline"
RETRY_DELAY = 0.2
"""Seconds between two tries of a task in a graded run."""

JANUARY = MONTHS[0]
BUSY_MONTH, DAMAGED_MONTH, FAILING_MONTH, UNPUBLISHED_MONTH = "2024-08", "2024-09", "2024-10", "2024-11"
MOST_RUNS = 5
"""Runs of a backfill for each of its months that are played; of a weekly schedule there are as many."""

CUT_MONTH = "2024-03"
CUT_AFTER_ROWS = 150
"""A load is cut at this row: well within every month, and past the first rows of a batch."""

WITH_BEFORE = ("other_month", "unpublished", "damaged", "failing_tests")
"""The scenarios in which it matters what stood in the tables before."""

Done = Callable[[str, Part], None]
"""Takes a scenario's name and its part of the evidence."""


def published() -> list[str]:
    """Return the months that are published beside the backfill's: for faults, and those of a manual run today."""
    today = datetime.now(UTC)
    months = [today.year * 12 + today.month - 1 - back for back in range(3)]
    return [BUSY_MONTH, DAMAGED_MONTH, *(f"{month // 12}-{month % 12 + 1:02}" for month in reversed(months))]


def other_month(student: str, content: str) -> str:
    """Draw a month other than January for a submission: nobody can know it, and it is always the same."""
    number = int.from_bytes(hashlib.sha256(f"{student} {content}".encode()).digest()[:4])
    return MONTHS[1 + number % (len(MONTHS) - 1)]


def play(stage: Stage, wanted: Sequence[str], other: str, done: Done, told: Told) -> None:
    """Play the scenarios that are wanted, in an order in which none disturbs the next.

    Parameters
    ----------
    stage
        Where; in a clean state.
    wanted
        Names of scenarios, each a key of the evidence.
    other
        The month of `other_month`.
    done
        Called with each part.
    told
        Takes lines of progress.
    """
    single: Mapping[str, Callable[[], Part]] = {
        "january": lambda: one_run(stage, JANUARY),
        "other_month": lambda: one_run(stage, other),
        "busy_source": lambda: _faulty(stage, BUSY_MONTH, {"status": 503, "times": 2}),
        "unpublished": lambda: one_run(stage, UNPUBLISHED_MONTH),
        "damaged": lambda: _faulty(stage, DAMAGED_MONTH, {"damage": True}),
        "manual_run": lambda: one_run(stage, None),
        "failing_tests": lambda: one_run(stage, FAILING_MONTH),
    }
    stage.api.pause(stage.dag_id, paused=False)
    for name, scenario in single.items():
        if name in wanted:
            told(_TOLD[name])
            part = _with_before(stage, scenario) if name in WITH_BEFORE else scenario()
            done(name, part)
            if name == "january" and not green(part):
                return  # what comes after is judged of a pipeline that runs
    if "backfill" in wanted:
        if set(single) & set(wanted):
            stage.clear()
        part = backfill(stage, told=lambda line: told(f"backfill: {line}"))
        done("backfill", part)
        if part["in_time"] and "backfill_again" in wanted:
            done("backfill_again", backfill(stage, again=True, told=lambda line: told(f"second backfill: {line}")))
        if part["in_time"] and "cut_load" in wanted and (part["tables"]["raw_trips"] or {"rows": 0})["rows"]:
            told("a load whose connection is cut")
            done("cut_load", cut_load(stage))


_TOLD = {
    "january": "one run: January 2024",
    "other_month": "one run of another month",
    "busy_source": "a source that is busy twice",
    "unpublished": "a month that is not published",
    "damaged": "a damaged file",
    "manual_run": "a run without a logical date",
    "failing_tests": "a month that fails its tests",
}


def green(part: Part | None) -> bool:
    """Return whether a scenario was played, and its runs ended in success."""
    return part is not None and bool(part["runs"]) and all(run["state"] == "success" for run in part["runs"])


def one_run(stage: Stage, month: str | None) -> Part:
    """Trigger one run by hand, with a month's first moment as its logical date, or with none."""

    def begin(api: AirflowApi) -> history.Wanted:
        run_id = api.trigger(stage.dag_id, f"{month}-01T00:00:00Z" if month else None)["dag_run_id"]
        return lambda run: bool(run["dag_run_id"] == run_id)

    return {"month": month, **stage.play(begin)}


def _with_before(stage: Stage, scenario: Callable[[], Part]) -> Part:
    with stage.world.look() as looking:
        before = warehouse.snapshot(looking, stage.schema)
    return {"before": before, **scenario()}


def _faulty(stage: Stage, month: str, fault: Mapping[str, object]) -> Part:
    stage.world.source.fail(month, fault)
    try:
        return one_run(stage, month)
    finally:
        stage.world.source.fail(month)


def backfill(stage: Stage, months: Sequence[str] = MONTHS, *, again: bool = False, told: Told = lambda _: None) -> Part:
    """Backfill these months, one run at a time."""

    def begin(api: AirflowApi) -> history.Wanted:
        year, month = map(int, months[-1].split("-"))
        last_day = calendar.monthrange(year, month)[1]  # a monthly schedule may name any day
        first, last = f"{months[0]}-01T00:00:00Z", f"{months[-1]}-{last_day}T00:00:00Z"
        api.create_backfill(stage.dag_id, first, last, again=again)
        of_these = history.of_backfill(list(months))
        if sum(map(of_these, api.runs(stage.dag_id))) > MOST_RUNS * len(months):
            stage.close_backfill()  # of another schedule: how many runs there are says it all
        return of_these

    part = stage.play(begin, limit=RUN_LIMIT * len(months), told=lambda ended, of: told(f"{ended} of {of} runs ended"))
    stage.close_backfill()
    return {"month": None, **part}


def cut_load(stage: Stage) -> Part:
    """Load one month again with every load losing its connection half-way."""
    with stage.world.look() as looking:
        before = warehouse.snapshot(looking, stage.schema)
    with stage.world.connect() as connection, warehouse.cut_loads(connection, CUT_AFTER_ROWS) as cut_at:
        part = backfill(stage, (CUT_MONTH,), again=True)
        return {**part, "month": CUT_MONTH, "before": before, "cut_at": cut_at()}
