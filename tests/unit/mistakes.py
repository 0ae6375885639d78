"""What submissions do, right and wrong, as it shows in the evidence, and the check that each loses.

Contract: a change spoils the evidence of `tests.unit.evidence.perfect()` in the way of one real mistake (or of
none). tests/unit/test_checks.py judges each; the names are those of the texts in golden/checks/.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.unit.evidence import FIRST_BACKFILL, IN_MONTH, STRAYS, Evidence, fail, perfect, request, run, table

TRACE = """\
Traceback (most recent call last):
  File "dags/taxi_pipeline.py", line 3, in <module>
    from airflow.operators.bash import BashOperator
ModuleNotFoundError: No module named 'airflow.operators.bash'
"""
NOT_WRITTEN = """\
Traceback (most recent call last):
  File "dags/taxi_pipeline.py", line 2, in <module>
    raise NotImplementedError()
NotImplementedError
"""
LOG = "07:00:01 error   Task failed with exception\n    HTTPStatusError: Client error '404 Not Found'"
REFUSED = "`airflow backfill create` ended with code 1: "

Change = Callable[[Evidence], object]


def dag(evidence: Evidence) -> dict[str, Any]:
    found: dict[str, Any] = evidence["parsed"]["dags"]["taxi_pipeline"]
    return found


def set_dag(**settings: object) -> Change:
    return lambda evidence: dag(evidence).update(settings)


def not_imported(text: str, file: str = "taxi_pipeline.py") -> Change:
    def change(evidence: Evidence) -> None:
        evidence["parsed"] = {"import_errors": [{"file": file, "text": text}], "dags": {}}

    return change


def named(*dag_ids: str) -> Change:
    def change(evidence: Evidence) -> None:
        evidence["parsed"]["dags"] = {dag_id: dag(evidence) for dag_id in dag_ids}

    return change


def downstream(**following: list[str]) -> Change:
    def change(evidence: Evidence) -> None:
        for task, after in following.items():
            dag(evidence)["tasks"][task]["downstream"] = after

    return change


def without_task(evidence: Evidence) -> None:
    del dag(evidence)["tasks"]["dbt_test"]
    downstream(dbt_run=[])(evidence)


def runs(scenario: str, change: Callable[[list[dict[str, Any]]], object]) -> Change:
    return lambda evidence: change(evidence[scenario]["runs"])


def failed(place: int, task: str = "ingest_taxi_month") -> Callable[[list[dict[str, Any]]], None]:
    return lambda runs: fail(runs[place], task, LOG)


def refused(scenario: str, why: str, *, runs_left: bool = False) -> Change:
    def change(evidence: Evidence) -> None:
        evidence[scenario] |= {"refused": REFUSED + why, "in_time": False}
        if not runs_left:
            evidence[scenario]["runs"] = []

    return change


def hanging(scenario: str, place: int = 0) -> Change:
    def change(evidence: Evidence) -> None:
        evidence[scenario]["in_time"] = False
        hanging = evidence[scenario]["runs"][place]
        hanging |= {"state": "running", "end": None}
        hanging["tasks"][0] |= {"state": "running", "end": None, "log": None}
        for task in hanging["tasks"][1:]:
            task |= {"state": None, "start": None, "end": None}

    return change


def daily(evidence: Evidence) -> None:
    days = [run(f"2024-01-{day:02}", FIRST_BACKFILL) for day in (1, 2, 3)]
    for day, one in enumerate(days, start=1):
        one["logical_date"] = f"2024-01-{day:02}T00:00:00Z"
    evidence["backfill"]["runs"][:1] = days


def quarterly(evidence: Evidence) -> None:
    evidence["backfill"]["runs"] = evidence["backfill"]["runs"][::3]


def asked(*requests: dict[str, Any]) -> Change:
    return lambda evidence: evidence["backfill"].update(requests=list(requests))


def holds(months: dict[str, int] | None, *, first: str = "backfill", table_name: str | None = None) -> Change:
    """Let the tables hold these months from the scenario `first` on, or one of them, or be missing."""

    def change(evidence: Evidence) -> None:
        scenarios = ["backfill", "backfill_again", "cut_load"]
        for scenario in scenarios[scenarios.index(first) :]:
            described = [evidence[scenario]["tables"]]
            described += [evidence[scenario]["before"]] if scenario == "cut_load" else []
            for tables in described:
                for name in [table_name] if table_name else list(tables):
                    tables[name] = None if months is None else table(months)

    return change


def other_content(evidence: Evidence) -> None:
    for place in ("backfill_again", "cut_load"):
        evidence[place]["tables"]["raw_trips"] = table(IN_MONTH, "the trips, loaded later")
    evidence["cut_load"]["before"]["raw_trips"] = table(IN_MONTH, "the trips, loaded later")


def half_loaded(rows: int) -> Change:
    def change(evidence: Evidence) -> None:
        months = {month: count for month, count in (IN_MONTH | {"2024-03": rows}).items() if count}
        evidence["cut_load"]["tables"]["raw_trips"] = table(months)

    return change


def cut_but_green(evidence: Evidence) -> None:
    evidence["cut_load"]["runs"] = [run("2024-03", FIRST_BACKFILL)]


def then(*changes: Change) -> Change:
    return lambda evidence: [change(evidence) for change in changes]


@dataclass(frozen=True)
class Mistake:
    """What a submission did, as it shows in the evidence, and the check that it loses."""

    loses: str
    change: Change
    cause: str | None = None
    """Part of the cause that is recognised."""


ONLY_JULY = {"2024-07": IN_MONTH["2024-07"]}
WITH_STRAYS = IN_MONTH | {"2023-12": STRAYS * len(IN_MONTH)}
JANUARY, *LATER = [request(month) for month in IN_MONTH]

MISTAKES = {
    "import_error": Mistake("minimum.dag-loads", not_imported(TRACE)),
    "import_error_of_another_file": Mistake("minimum.dag-loads", not_imported(TRACE, "pipeline.py")),
    "not_written_yet": Mistake("minimum.dag-loads", not_imported(NOT_WRITTEN)),
    "no_dag": Mistake("minimum.dag-loads", named(), "not called"),
    "other_dag_id": Mistake("minimum.dag-loads", named("taxi"), "what dag_id in @dag(...) says"),
    "schedule_daily": Mistake("minimum.schedule", set_dag(schedule="0 0 * * *"), "once a month"),
    "schedule_none": Mistake("minimum.schedule", set_dag(schedule="None")),
    "schedule_on_the_31st": Mistake("minimum.schedule", set_dag(schedule="0 0 31 * *"), "left out"),
    "start_too_late": Mistake("minimum.schedule", set_dag(start_date="2024-02-01T00:00:00Z")),
    "no_start": Mistake("minimum.schedule", set_dag(start_date=None)),
    "catchup": Mistake("minimum.schedule", set_dag(catchup=True)),
    "no_tag": Mistake("minimum.schedule", set_dag(tags=[])),
    "nothing_set": Mistake(
        "minimum.schedule", set_dag(schedule="None", start_date="2026-01-01T00:00:00Z", catchup=True, tags=[])
    ),
    "no_task": Mistake("minimum.task-order", set_dag(tasks={})),
    "task_missing": Mistake("minimum.task-order", without_task),
    "no_order": Mistake("minimum.task-order", downstream(ingest_taxi_month=[], dbt_run=[])),
    "order_turned_round": Mistake(
        "minimum.task-order", downstream(ingest_taxi_month=[], dbt_run=["ingest_taxi_month"], dbt_test=["dbt_run"])
    ),
    "tests_beside_models": Mistake(
        "minimum.task-order", downstream(ingest_taxi_month=["dbt_run", "dbt_test"], dbt_run=[])
    ),
    "january_failed": Mistake("minimum.run-green", runs("backfill", failed(0))),
    "january_failed_in_dbt": Mistake("minimum.run-green", runs("backfill", failed(0, "dbt_run"))),
    "january_task_skipped": Mistake(
        "minimum.run-green", runs("backfill", lambda runs: runs[0]["tasks"][1].update(state="skipped"))
    ),
    "january_hangs": Mistake("minimum.run-green", hanging("backfill"), "waits, or hangs"),
    "no_run": Mistake("minimum.run-green", runs("backfill", lambda runs: runs.pop(0))),
    "backfill_refused": Mistake("minimum.run-green", refused("backfill", "Dag taxi_pipeline has no schedule.")),
    "january_never_fetched": Mistake("minimum.run-green", asked(*LATER), "not taken from TLC_URL"),
    "nothing_fetched": Mistake("minimum.run-green", asked(), "not taken from TLC_URL"),
    "january_only_looked_at": Mistake(
        "minimum.run-green", asked(request("2024-01", method="HEAD"), *LATER), "not taken from TLC_URL"
    ),
    "january_not_published": Mistake(
        "minimum.run-green", asked(request("2024-01", status=403), *LATER), "not taken from TLC_URL"
    ),
    "fct_trips_missing": Mistake("minimum.run-green", holds(None, table_name="fct_trips"), "PG_SCHEMA"),
    "fct_trips_empty": Mistake("minimum.run-green", holds({}, table_name="fct_trips"), "PG_SCHEMA"),
    "fct_trips_of_another_year": Mistake(
        "minimum.run-green", holds({"2023-12": 9}, table_name="fct_trips"), "PG_SCHEMA"
    ),
    "six_of_seven_green": Mistake("target.backfill-runs", runs("backfill", failed(4, "dbt_test"))),
    "june_hangs": Mistake("target.backfill-runs", hanging("backfill", 5), "waits, or hangs"),
    "three_runs": Mistake("target.backfill-runs", quarterly),
    "one_month_fetched_seven_times": Mistake("target.backfill-runs", asked(*[JANUARY] * 7), "from today's date"),
    "june_never_fetched": Mistake("target.backfill-runs", asked(JANUARY, *LATER[:4], LATER[5]), "from today's date"),
    "strays_loaded": Mistake("target.backfill-rows", holds(WITH_STRAYS), "The whole file"),
    "strays_loaded_and_some_deleted": Mistake(
        "target.backfill-rows", holds(IN_MONTH | {"2023-11": 3, "2024-01": IN_MONTH["2024-01"] + 2}), "The whole file"
    ),
    "only_the_last_month": Mistake("target.backfill-rows", holds(ONLY_JULY), "emptied the table first"),
    "a_row_too_few": Mistake("target.backfill-rows", holds(IN_MONTH | {"2024-05": IN_MONTH["2024-05"] - 1})),
    "more_than_there_is": Mistake("target.backfill-rows", holds(IN_MONTH | {"2024-05": 2 * IN_MONTH["2024-05"]})),
    "a_month_lost": Mistake(
        "target.backfill-rows", holds({month: rows for month, rows in IN_MONTH.items() if month != "2024-02"})
    ),
    "rows_without_pickup_times": Mistake(
        "target.backfill-rows", lambda evidence: evidence["backfill"]["tables"]["raw_trips"].update(months={})
    ),
    "lost_in_dbt": Mistake(
        "target.backfill-rows",
        holds({month: rows - 100 for month, rows in IN_MONTH.items()}, table_name="fct_trips"),
        "the dbt models",
    ),
    "second_backfill_failed": Mistake("target.idempotent", runs("backfill_again", failed(0))),
    "second_backfill_hangs": Mistake("target.idempotent", hanging("backfill_again", 6), "waits, or hangs"),
    "rows_doubled": Mistake(
        "target.idempotent",
        holds({month: 2 * rows for month, rows in IN_MONTH.items()}, first="backfill_again"),
        "adds its rows",
    ),
    "strays_added": Mistake(
        "target.idempotent", holds(WITH_STRAYS, first="backfill_again"), "Rows dated in other months"
    ),
    "rows_moved_to_another_month": Mistake(
        "target.idempotent",
        holds(IN_MONTH | {"2024-01": IN_MONTH["2024-02"], "2024-02": IN_MONTH["2024-01"]}, first="backfill_again"),
    ),
    "rows_lost_the_second_time": Mistake("target.idempotent", holds(ONLY_JULY, first="backfill_again")),
    "table_gone_the_second_time": Mistake(
        "target.idempotent", holds(None, first="backfill_again", table_name="fct_trips")
    ),
    "same_count_other_content": Mistake("target.idempotent", other_content, "what differs each time"),
    "cut_but_green": Mistake("stretch.atomic-load", cut_but_green, "caught and not raised again"),
    "cut_lost_the_month": Mistake("stretch.atomic-load", half_loaded(0), "one transaction"),
    "cut_left_half_a_month": Mistake("stretch.atomic-load", half_loaded(149), "one transaction"),
    "cut_lost_the_table": Mistake(
        "stretch.atomic-load",
        lambda evidence: evidence["cut_load"]["tables"].update(raw_trips=None),
        "one transaction",
    ),
    "cut_and_hanging": Mistake("stretch.atomic-load", hanging("cut_load"), "waits, or hangs"),
}
"""Each loses one check alone; those that build on it wait."""

SEVERAL = {
    "daily_runs": ("minimum.run-green", then(daily, set_dag(schedule="0 0 * * *")), "minimum.schedule"),
    "no_schedule_no_run": (
        "minimum.run-green",
        then(refused("backfill", "No runs to create for Dag taxi_pipeline."), set_dag(schedule="None")),
        "minimum.schedule",
    ),
    "no_run_and_no_tag": (
        "minimum.run-green",
        then(runs("backfill", lambda runs: runs.pop(0)), set_dag(tags=[])),
        None,
    ),
    "quarterly": ("target.backfill-runs", then(quarterly, set_dag(schedule="0 0 1 */3 *")), "minimum.schedule"),
    "raw_trips_missing": ("target.backfill-rows", holds(None, table_name="raw_trips"), None),
    "raw_trips_missing_twice": ("target.idempotent", holds(None, table_name="raw_trips"), None),
    "raw_trips_empty": ("target.backfill-rows", holds({}, table_name="raw_trips"), None),
    "raw_trips_empty_twice": ("target.idempotent", holds({}, table_name="raw_trips"), None),
}
"""A check that is lost together with another, and part of the cause that is recognised."""

OUR_FAULT: dict[str, tuple[str, Change]] = {
    "second_backfill_refused": ("target.idempotent", refused("backfill_again", "another is running.")),
    "second_backfill_not_run": (
        "target.idempotent",
        lambda evidence: evidence["backfill_again"].update(runs=evidence["backfill"]["runs"]),
    ),
    "cut_load_refused": ("stretch.atomic-load", refused("cut_load", "another is running.", runs_left=True)),
}

ALTERNATIVES: dict[str, Change] = {
    "midnight in New York": set_dag(start_date="2024-01-01T05:00:00Z"),
    "an earlier start": set_dag(start_date="2019-07-01T00:00:00Z"),
    "another day and time": set_dag(schedule="30 6 2 * *"),
    "the last day of the month": set_dag(schedule="0 0 L * *"),
    "one tag of one's own": set_dag(tags=["mine"]),
    "a task between": lambda evidence: dag(evidence)["tasks"].update(
        ingest_taxi_month={"downstream": ["count"]}, count={"downstream": ["dbt_run"]}
    ),
    "an order that is also said directly": downstream(ingest_taxi_month=["dbt_run", "dbt_test"]),
    "tasks of other names beside": lambda evidence: dag(evidence)["tasks"].update(notify={"downstream": []}),
    "another DAG beside": lambda evidence: evidence["parsed"]["dags"].update(other=dag(evidence)),
    "another file that is broken": lambda evidence: evidence["parsed"]["import_errors"].append(
        {"file": "notes.py", "text": TRACE}
    ),
    "ranges of the file": asked(*[request(month, status=206) for month in IN_MONTH]),
    "every file fetched twice": asked(*[request(month) for month in IN_MONTH for _ in range(2)]),
    "a try that failed before": lambda evidence: evidence["backfill"]["runs"][2]["tasks"][0].update(try_number=3),
}
"""What may be done otherwise, and is right."""


def spoilt(change: Change) -> Evidence:
    evidence = perfect()
    change(evidence)
    return evidence
