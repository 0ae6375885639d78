"""Read a running Airflow through its REST API.

Contract: `AirflowApi` answers questions about DAGs, runs, task instances, logs and backfills from Airflow's
own records, without importing Airflow (which takes seconds), and asks it for runs. When the API server does not
answer, or refuses, it raises `CourseError`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import quote

import httpx

from autograder.errors import CourseError

Record = dict[str, Any]
"""One object of the API, as its JSON says it."""

Query = Mapping[str, str | int | bool]

ENDED = ("success", "failed")
"""The states in which a run stays."""

_PAGE = 100
_PRINTED = ("task.stdout", "task.stderr")


class AirflowApi:
    """One Airflow's API server.

    Parameters
    ----------
    url
        Where it listens, without `/api/v2`.
    token
        Sent as a bearer token; none is needed where everyone is an admin.
    transport
        Answers instead of the network, in tests.
    """

    def __init__(self, url: str, token: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy named in the environment cannot reach a server on 127.0.0.1.
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v2/",
            headers=headers,
            timeout=30,
            trust_env=False,
            verify=url.startswith("https:"),  # else the certificates of authorities would be read, for nothing
            transport=transport,
        )

    @classmethod
    def from_environment(cls) -> Self:
        """Return the Airflow that COURSE_AIRFLOW_URL names.

        Raises
        ------
        CourseError
            When the variable is not set.
        """
        if url := os.environ.get("COURSE_AIRFLOW_URL"):
            return cls(url, os.environ.get("COURSE_AIRFLOW_TOKEN"))
        raise CourseError(
            "No Airflow is running for this notebook.",
            where="environment variable COURSE_AIRFLOW_URL",
            todo="Open the notebooks with ./course lab, or run them with ./course run. Both start one.",
        )

    def healthy(self, parts: Sequence[str] = ("metadatabase", "scheduler", "dag_processor")) -> bool:
        """Return whether these parts of the Airflow all report themselves healthy."""
        health = self.health()
        return all(health[part]["status"] == "healthy" for part in parts)

    def health(self) -> Record:
        """Return what Airflow says about each of its components: status, and the last heartbeat."""
        answer: Record = self._call("GET", "monitor/health").json()
        return answer

    def dag(self, dag_id: str) -> Record | None:
        """Return the stored DAG, or None when there is none of that name."""
        answer = self._call("GET", f"dags/{quote(dag_id, safe='')}", allow=(404,))
        found: Record | None = None if answer.status_code == 404 else answer.json()
        return found

    def import_errors(self) -> list[Record]:
        """Return the DAG files that could not be imported."""
        return list(self._pages("importErrors", "import_errors"))

    def dags(self, *, stale: bool = False) -> list[Record]:
        """Return the DAGs that Airflow knows, or also those that are in no file any more (`stale`)."""
        return list(self._pages("dags", "dags", {"exclude_stale": not stale}))

    def events(self, dag_id: str = "") -> list[Record]:
        """Return the audit log, of one DAG or of all, oldest first."""
        query: Query = {"order_by": "when", **({"dag_id": dag_id} if dag_id else {})}
        return list(self._pages("eventLogs", "event_logs", query))

    def details(self, dag_id: str) -> Record:
        """Return the DAG's settings."""
        settings: Record = self._call("GET", f"dags/{quote(dag_id, safe='')}/details").json()
        return settings

    def task_settings(self, dag_id: str) -> list[Record]:
        """Return each task's settings and dependencies."""
        return list(self._call("GET", f"dags/{quote(dag_id, safe='')}/tasks").json()["tasks"])

    def tasks(self, dag_id: str) -> list[str]:
        """Return the DAG's task ids, each after those that it waits for."""
        tasks = self.task_settings(dag_id)
        order: TopologicalSorter[str] = TopologicalSorter()
        for task in tasks:
            order.add(task["task_id"])
            for later in task["downstream_task_ids"]:
                order.add(later, task["task_id"])
        return list(order.static_order())

    def runs(self, dag_id: str) -> list[Record]:
        """Return the DAG's runs in the order of their creation."""
        return list(self._pages(f"dags/{quote(dag_id, safe='')}/dagRuns", "dag_runs", {"order_by": "id"}))

    def run_due(self, dag_id: str) -> bool:
        """Return whether the scheduler is about to create a run: a date has passed, or its assets were updated."""
        dag = self.dag(dag_id)
        if dag is None or dag["is_paused"]:
            return False
        date = dag["next_dagrun_run_after"]
        if date and datetime.fromisoformat(date) <= datetime.now(UTC):
            return True
        updated = self._call("GET", f"dags/{quote(dag_id, safe='')}/assets/queuedEvents").json()["total_entries"]
        # A schedule of several assets waits for all of them, unless it says that any will do.
        return bool(updated) and updated >= len((self.details(dag_id)["asset_expression"] or {}).get("all", [None]))

    def task_instances(self, dag_id: str, run_id: str = "~") -> list[Record]:
        """Return the task instances of one run, or of all runs of the DAG."""
        path = f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='~')}/taskInstances"
        return list(self._pages(path, "task_instances"))

    def tries(self, task_instance: Record) -> list[Record]:
        """Return every try of a task instance, first to last."""
        path = f"{_path_of(task_instance)}/tries"
        if task_instance["map_index"] >= 0:
            path = f"{_path_of(task_instance)}/{task_instance['map_index']}/tries"
        # Airflow leaves the order to its database, which may put a later try first.
        return sorted(self._call("GET", path).json()["task_instances"], key=lambda one: one["try_number"])

    def xcoms(self, dag_id: str, run_id: str) -> list[Record]:
        """Return what the tasks of a run passed on: each entry with its value, as text."""
        path = f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}/taskInstances/~/xcomEntries"
        found = []
        for entry in self._pages(path, "xcom_entries"):
            one = f"{_path_of({**entry, 'dag_run_id': run_id})}/xcomEntries/{quote(entry['key'], safe='')}"
            found.append(self._call("GET", one, {"map_index": entry["map_index"], "stringify": True}).json())
        return found

    def asset_events(self) -> list[Record]:
        """Return the updates of assets, oldest first."""
        return list(self._pages("assets/events", "asset_events", {"order_by": "timestamp"}))

    def log_text(self, task_instance: Record, lines: int = 15) -> str:
        """Return the end of the log of a task instance's last try, without what Airflow logs about itself."""
        path = f"{_path_of(task_instance)}/logs/{task_instance['try_number']}"
        answer = self._call("GET", path, {"map_index": task_instance["map_index"], "full_content": True}).json()
        return "\n".join(_own_lines(answer["content"])[-lines:])

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause the DAG, or let it run; one with a schedule gets a run for the latest date that has passed."""
        self._call("PATCH", f"dags/{quote(dag_id, safe='')}", {"update_mask": "is_paused"}, body={"is_paused": paused})

    def trigger(self, dag_id: str, logical_date: str | None, conf: Mapping[str, Any] = MappingProxyType({})) -> Record:
        """Create a run, with a logical date (ISO 8601) or none, and return it."""
        body = {"logical_date": logical_date, "conf": dict(conf)}
        made: Record = self._call("POST", f"dags/{quote(dag_id, safe='')}/dagRuns", body=body).json()
        return made

    def clear(self, dag_id: str, run_id: str) -> None:
        """Have all tasks of a run that exists run again."""
        path = f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}/clear"
        self._call("POST", path, body={"dry_run": False, "only_failed": False})

    def latest_backfill(self, dag_id: str) -> Record | None:
        """Return the DAG's newest backfill, or None when it has none."""
        return next(reversed(self.backfills(dag_id)), None)

    def backfills(self, dag_id: str) -> list[Record]:
        """Return the DAG's backfills in the order of their creation."""
        return sorted(self._pages("backfills", "backfills", {"dag_id": dag_id}), key=lambda one: one["id"])

    def close_backfill(self, backfill_id: int) -> None:
        """Mark a backfill as completed whose runs have all ended.

        The scheduler does this twice a minute, and until then a new backfill is refused. Cancelling does the
        same at once: a cancelled backfill loses its queued runs, and this one has none.
        """
        self._call("PUT", f"backfills/{backfill_id}/cancel", allow=(409,))  # 409: the scheduler was first

    def create_backfill(self, dag_id: str, first: str, last: str, *, again: bool) -> None:
        """Create runs for the dates of the schedule from `first` to `last` (ISO 8601), one at a time.

        `again` runs those once more that have ended.
        """
        body = {"dag_id": dag_id, "from_date": first, "to_date": last, "max_active_runs": 1}
        self._call("POST", "backfills", body={**body, "reprocess_behavior": "completed" if again else "none"})

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Give a run up: it is failed, and its tasks are ended."""
        path = f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
        self._call("PATCH", path, body={"state": "failed"}, allow=(409,))

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Forget a run."""
        path = f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
        self._call("DELETE", path, allow=(404,))

    def _pages(self, path: str, key: str, query: Query = MappingProxyType({})) -> Iterator[Record]:
        offset = 0
        while True:
            answer = self._call("GET", path, {**query, "limit": _PAGE, "offset": offset}).json()
            yield from answer[key]
            offset += _PAGE
            if offset >= answer["total_entries"]:
                return

    def _call(
        self,
        method: str,
        path: str,
        query: Query = MappingProxyType({}),
        *,
        body: Mapping[str, Any] | None = None,
        allow: tuple[int, ...] = (),
    ) -> httpx.Response:
        def asked() -> httpx.Response:
            return self._http.request(method, path, params=dict(query), json=body)

        try:
            try:
                answer = asked()
            except (httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError):
                if method != "GET":
                    raise
                answer = asked()  # a laptop that slept in the middle of an answer has lost that one alone
        except httpx.HTTPError as error:
            raise CourseError(
                f"Airflow's API server does not answer: {error}.",
                where=str(self._http.base_url),
                todo="Does it run where you started it, with ./course lab or ./course airflow? Then try again.",
            ) from error
        if answer.status_code == 404 and 404 not in allow and path.startswith("dags/"):
            raise CourseError(
                f"Airflow says: {_detail(answer)}.",
                where=f"{method} {answer.url}",
                todo="Is the name right? If its DAG is new, run the cell that writes the DAG's file first.",
                exit_code=1,
            )
        if answer.is_error and answer.status_code not in allow:
            raise CourseError(
                f"Airflow's API server answered {answer.status_code}: {answer.text[:300]}",
                where=f"{method} {answer.url}",
            )
        return answer


def _detail(answer: httpx.Response) -> str:
    """Return what the API says about an error."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def _path_of(task_instance: Record) -> str:
    dag_id, run_id, task_id = (quote(task_instance[key], safe="") for key in ("dag_id", "dag_run_id", "task_id"))
    return f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"


def _own_lines(log: list[Record]) -> list[str]:
    """Return a log's lines as text, without the groups that Airflow folds away in its UI.

    Errors stay, and so does what the task printed: its time may put that into a group that it does not belong to.
    """
    lines, folded = [], False
    for entry in log:
        event = str(entry["event"])
        if event.startswith(("::group::", "::endgroup::")):
            folded = event.startswith("::group::")
        elif not folded or entry.get("level") in ("error", "critical") or entry.get("logger") in _PRINTED:
            lines.append(f"{entry.get('timestamp', '')[11:19]:<8} {entry.get('level', ''):<7} {event}")
            lines += [f"    {error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []]
    return lines
