"""What works once works again and again, and leaves nothing."""

import contextlib
from functools import partial
from pathlib import Path

import psutil
import pytest

from autograder.airflow_api import AirflowApi
from autograder.airflow_local import local
from autograder.airflow_local.local import MONTHS, Shared
from autograder.airflow_local.session import Session, members
from autograder.desk import open_desk
from autograder.observe import warehouse
from autograder.paths import ROOT
from autograder.waiting import until

pytestmark = pytest.mark.integration

DAG_ID = "taxi_pipeline"


def all_gone(processes: list[psutil.Process]) -> bool:
    """Return whether processes have ended (their parents may not have noticed)."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def listening(pids: set[int] | None = None) -> set[object]:
    """Return the addresses that these processes listen on, or that any does."""
    found = psutil.net_connections()
    return {one.laddr for one in found if one.status == psutil.CONN_LISTEN and (pids is None or one.pid in pids)}


def shared_memory(pids: set[int]) -> set[str]:
    """Return what these processes have in shared memory: files of /dev/shm that they map, and segments."""
    found = set()
    for pid in pids:
        maps = Path(f"/proc/{pid}/maps")
        if maps.exists():
            found |= {line.split(maxsplit=5)[5] for line in maps.read_text().splitlines() if " /dev/shm/" in line}
    segments = Path("/proc/sysvipc/shm")
    if segments.exists():
        _, *rows = segments.read_text().splitlines()
        found |= {f"segment {row.split()[1]}" for row in rows if int(row.split()[4]) in pids}
    return found


def is_stored(api: AirflowApi) -> bool:
    """Return whether Airflow has the DAG."""
    return api.dag(DAG_ID) is not None


def states(api: AirflowApi) -> list[str]:
    """Return how the backfill's runs are."""
    return [run["state"] for run in api.runs(DAG_ID) if run["run_type"] == "backfill"]


def all_ended(api: AirflowApi) -> bool:
    """Return whether all runs of the backfill have."""
    found = states(api)
    return len(found) == len(MONTHS) and set(found) <= {"success", "failed"}


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_boots_leave_nothing(tmp_path: Path, times: int) -> None:
    (tmp_path / "dags").mkdir()
    state = tmp_path / "state"
    databases = set()
    for _ in range(times):
        with open_desk(project=tmp_path, state=state) as desk:
            session = desk.shared.session
            processes = members(session.folder)
            pids = {one.pid for one in processes}
            assert len(pids) > 8
            ports = listening(pids)
            assert len(ports) >= 4, "Postgres, the API server, the source, the notifications"
            memory = shared_memory(pids)
            with desk.connect() as connection:
                names = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
            databases.add(tuple(name for (name,) in names))
        assert members(session.folder) == []
        until(partial(all_gone, processes), "Processes are left", 300, "")
        assert not ports & listening()
        assert list((state / "run").iterdir()) == []
        assert not {name for name in memory if Path(name).exists()} | shared_memory(pids)
    assert len(databases) == 1, "no boot adds a database"
    assert sorted(path.name for path in state.iterdir()) == ["home", "logs", "run"]


@pytest.mark.slow  # the main job's test has two of them
def test_twenty_backfills_are_green_with_the_same_rows() -> None:
    times = 20
    with Session.open() as session:
        shared = Shared.start(session)
        seen = []
        for number in range(times):
            ours = local.start(shared, ROOT, student="ada", seed="tests", name=f"again{number}")
            api = AirflowApi(ours.airflow.url)
            until(partial(is_stored, api), "The DAG is not there", 300, "")
            ours.airflow.cli("dags", "unpause", DAG_ID)
            dates = ["--from-date", f"{MONTHS[0]}-01", "--to-date", f"{MONTHS[-1]}-01"]
            ours.airflow.cli("backfill", "create", "--dag-id", DAG_ID, *dates, "--max-active-runs", "1")
            until(partial(all_ended, api), "The backfill has not ended", 300, "")
            assert states(api) == ["success"] * len(MONTHS)
            with ours.connect() as connection:
                seen.append(warehouse.snapshot(connection, ours.schema))
            ours.stop()
        assert seen[0]["raw_trips"]
        assert seen[1:] == seen[:1] * (times - 1)
