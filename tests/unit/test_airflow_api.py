"""What we make of the REST API's answers: pages, order, logs, refusals."""

from typing import Any

import httpx
import pytest

from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError


def _api(answers: dict[str, Any], asked: list[httpx.Request] | None = None) -> AirflowApi:
    def answer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        found = answers[request.url.path.removeprefix("/api/v2/")]
        return found(request) if callable(found) else httpx.Response(200, json=found)

    return AirflowApi("http://airflow", "secret", transport=httpx.MockTransport(answer))


def test_all_pages_are_read_and_the_token_is_sent() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        runs = [{"dag_run_id": str(number)} for number in range(offset, min(offset + 100, 230))]
        return httpx.Response(200, json={"dag_runs": runs, "total_entries": 230})

    asked: list[httpx.Request] = []
    runs = _api({"dags/taxi_pipeline/dagRuns": page}, asked).runs("taxi_pipeline")
    assert [run["dag_run_id"] for run in runs] == [str(number) for number in range(230)]
    assert [request.headers["Authorization"] for request in asked] == ["Bearer secret"] * 3


def test_what_airflow_does_not_have_is_the_readers_to_mend() -> None:
    detail = "The Dag with ID: `nowhere` was not found"
    missing = {"dags/nowhere/tasks": lambda request: httpx.Response(404, json={"detail": detail})}
    with pytest.raises(CourseError, match=detail) as caught:
        _api(missing).tasks("nowhere")
    assert caught.value.exit_code == 1
    assert "Is the name right?" in caught.value.todo


def test_a_task_comes_after_those_that_it_waits_for() -> None:
    tasks = [
        {"task_id": "dbt_run", "downstream_task_ids": ["dbt_test"]},
        {"task_id": "dbt_test", "downstream_task_ids": []},
        {"task_id": "ingest", "downstream_task_ids": ["dbt_run"]},
    ]
    assert _api({"dags/d/tasks": {"tasks": tasks}}).tasks("d") == ["ingest", "dbt_run", "dbt_test"]


def test_a_dag_that_is_not_there_is_none() -> None:
    assert _api({"dags/nothing": lambda _: httpx.Response(404, json={"detail": "no"})}).dag("nothing") is None


@pytest.mark.parametrize(
    ("paused", "date", "updated", "schedule", "due"),
    [
        (False, "2024-03-01T00:00:00Z", 0, None, True),
        (True, "2024-03-01T00:00:00Z", 0, None, False),
        (False, "9024-03-01T00:00:00Z", 0, None, False),
        (False, None, 0, None, False),
        (False, None, 1, {"all": ["one"]}, True),
        (False, None, 1, {"all": ["one", "two"]}, False),
        (False, None, 1, {"any": ["one", "two"]}, True),
    ],
)
def test_a_run_is_due_when_its_date_has_passed_or_its_assets_were_updated(
    paused: bool, date: str | None, updated: int, schedule: Any, due: bool
) -> None:
    answers = {
        "dags/d": {"is_paused": paused, "next_dagrun_run_after": date},
        "dags/d/assets/queuedEvents": {"total_entries": updated},
        "dags/d/details": {"asset_expression": schedule},
    }
    assert _api(answers).run_due("d") is due


def test_tries_come_first_to_last() -> None:
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "t", "map_index": -1}
    told = {"task_instances": [{"try_number": 2}, {"try_number": 1}, {"try_number": 3}]}
    found = _api({"dags/d/dagRuns/r/taskInstances/t/tries": told}).tries(task)
    assert [one["try_number"] for one in found] == [1, 2, 3]


def test_the_newest_backfill_counts() -> None:
    backfills = {"backfills": [{"id": 2}, {"id": 3}, {"id": 1}], "total_entries": 3}
    assert _api({"backfills": backfills}).latest_backfill("d") == {"id": 3}
    assert _api({"backfills": {"backfills": [], "total_entries": 0}}).latest_backfill("d") is None


def test_a_log_keeps_the_tasks_own_lines_and_every_error() -> None:
    def line(event: str, level: str = "info", **more: object) -> dict[str, object]:
        return {"event": event, "level": level, "timestamp": "2024-03-01T06:15:42.1Z", **more}

    content = [
        line("::group::Pre Execute"),
        line("DAG bundles loaded"),
        line("Task failed", "error", error_detail=[{"exc_type": "KeyError", "exc_value": "'ds'"}]),
        line("::endgroup::"),
        line("loading 2024-03"),
        {"event": "a line of a program"},
        line("::group::Post Execute"),
        line("3 zones", logger="task.stdout"),
        line("pushing XCom"),
        line("::endgroup::"),
    ]
    task = {"dag_id": "d", "dag_run_id": "manual__1", "task_id": "t", "try_number": 2, "map_index": -1}
    text = _api({"dags/d/dagRuns/manual__1/taskInstances/t/logs/2": {"content": content}}).log_text(task)
    assert text.splitlines() == [
        "06:15:42 error   Task failed",
        "    KeyError: 'ds'",
        "06:15:42 info    loading 2024-03",
        "                 a line of a program",
        "06:15:42 info    3 zones",
    ]


def test_no_server_and_a_refusal_are_told_in_words() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with pytest.raises(CourseError, match="does not answer: Connection refused"):
        _api({"importErrors": gone}).import_errors()
    with pytest.raises(CourseError, match="answered 401"):
        _api({"importErrors": lambda _: httpx.Response(401, text="Unauthorized")}).import_errors()


def test_a_question_is_asked_again_and_a_request_is_not() -> None:
    asked: list[httpx.Request] = []

    def asleep_at_first(request: httpx.Request) -> httpx.Response:
        if len(asked) == 1:
            raise httpx.ReadTimeout("timed out")
        return httpx.Response(200, json={"dag_id": "d", "dag_run_id": "made"})

    assert _api({"dags/d": asleep_at_first}, asked).dag("d")
    assert len(asked) == 2
    asked.clear()
    with pytest.raises(CourseError, match="timed out"):
        _api({"dags/d/dagRuns": asleep_at_first}, asked).trigger("d", None)
    assert len(asked) == 1


def test_without_an_address_it_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_AIRFLOW_URL", raising=False)
    with pytest.raises(CourseError, match=r"\./course lab"):
        AirflowApi.from_environment()
