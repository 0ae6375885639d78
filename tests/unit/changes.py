"""Changes that spoil synthetic evidence, for tests/unit/mistakes.py to put together."""

from collections.abc import Callable
from typing import Any

from tests.unit.evidence import BEGIN, IN_MONTH, Evidence, built, fail, notification, run, table

TRACE = """\
Traceback (most recent call last):
  File "dags/taxi_pipeline.py", line 3, in <module>
    from airflow.operators.bash import BashOperator
ModuleNotFoundError: No module named 'airflow.operators.bash'
"""
SYNTAX = """\
Traceback (most recent call last):
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/somewhere/dags/taxi_pipeline.py", line 12
    schedule="@monthly
             ^
SyntaxError: unterminated string literal (detected at line 12)
"""
NOT_WRITTEN = """\
Traceback (most recent call last):
  File "dags/taxi_pipeline.py", line 2, in <module>
    raise NotImplementedError()
NotImplementedError
"""
LOG = "07:00:01 error   Task failed with exception\n    HTTPStatusError: Client error '404 Not Found'"
REFUSED = "Airflow ended with code 1: "

Change = Callable[[Evidence], object]


def dag(evidence: Evidence) -> dict[str, Any]:
    found: dict[str, Any] = evidence["parsed"]["dags"]["taxi_pipeline"]
    return found


def set_dag(**settings: object) -> Change:
    return lambda evidence: dag(evidence).update(settings)


def set_task(task: str, **settings: object) -> Change:
    return lambda evidence: dag(evidence)["tasks"][task].update(settings)


def files(**texts: object) -> Change:
    return lambda evidence: evidence["files"].update(texts)


def parsed_with(*, seconds: float = 0.4, **contacts: object) -> Change:
    def change(evidence: Evidence) -> None:
        evidence["parsed"]["seconds"] = seconds
        evidence["parsed"]["contacts"].update(contacts)

    return change


def not_imported(text: str, file: str = "taxi_pipeline.py") -> Change:
    def change(evidence: Evidence) -> None:
        evidence["dag_id"] = None
        evidence["parsed"].update(import_errors=[{"file": file, "text": text}], dags={})

    return change


def named(*dag_ids: str) -> Change:
    def change(evidence: Evidence) -> None:
        evidence["parsed"]["dags"] = {dag_id: dag(evidence) for dag_id in dag_ids}
        evidence["dag_id"] = None

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


def fails(scenario: str, log: str, task: str = "ingest_taxi_month", place: int = 0) -> Change:
    return then(
        lambda evidence: fail(evidence[scenario]["runs"][place], task, log),
        notified(scenario, 1),
    )


def hidden(scenario: str, state: str = "success", task: str = "ingest_taxi_month") -> Change:
    """Let a scenario's run be green, since one of its tasks ends in this state though it should fail."""

    def change(evidence: Evidence) -> None:
        (one,) = evidence[scenario]["runs"]
        one["state"] = "success"
        for instance in one["tasks"]:
            own = instance["task_id"] == task
            instance |= {"state": state if own else "success", "log": None, "start": BEGIN.isoformat(), "tries": 1}
            if state == "skipped" and not own:
                instance |= {"state": "skipped", "start": None}
        evidence[scenario]["notifications"] = []

    return change


def notified(scenario: str, times: int) -> Change:
    return lambda evidence: evidence[scenario].update(notifications=[notification() for _ in range(times)])


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


def quarterly(evidence: Evidence) -> None:
    evidence["backfill"]["runs"] = evidence["backfill"]["runs"][::3]


def asked(scenario: str, *requests: dict[str, Any]) -> Change:
    return lambda evidence: evidence[scenario].update(requests=list(requests))


def only(*scenarios: str) -> tuple[str, ...]:
    return scenarios


def holds(
    months: dict[str, int] | None,
    scenarios: tuple[str, ...] = ("backfill", "backfill_again", "cut_load"),
    table_name: str | None = None,
) -> Change:
    """Let the tables hold these months after each scenario, or one of them, or be missing."""

    def change(evidence: Evidence) -> None:
        for scenario in scenarios:
            described = [evidence[scenario]["tables"]]
            described += [evidence[scenario]["before"]] if scenario == "cut_load" else []
            for tables in described:
                for name in [table_name] if table_name else list(tables):
                    tables[name] = None if months is None else table(months)

    return change


def dbt_by(application: str) -> Change:
    return lambda evidence: evidence["january"].update(dbt=built(application))


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
    evidence["cut_load"]["runs"] = [run("2024-03", BEGIN)]


def runbook(name: str, **done: object) -> Change:
    return lambda evidence: evidence["runbook"][name].update(done)


def tested(**own: object) -> Change:
    return lambda evidence: evidence["own_tests"]["own"].update(own)


def shared(**parts: object) -> Change:
    return lambda evidence: evidence["shared"].update(parts)


def dag_called(dag_id: str | None) -> Change:
    """Let the student's DAG have this name on the shared Airflow, or not be found."""

    def change(evidence: Evidence) -> None:
        parsed = evidence["shared"]["parsed"]
        (settings,) = parsed["dags"].values()
        evidence["shared"]["dag_id"] = dag_id
        parsed["dags"] = {dag_id: settings} if dag_id else {}
        if not dag_id:
            parsed["import_errors"] = [{"file": "taxi_pipeline.py", "text": TRACE}]
            evidence["shared"] |= {"runs": [], "others_before": {}, "others_after": {}}

    return change


def then(*changes: Change) -> Change:
    return lambda evidence: [change(evidence) for change in changes]
