"""The attacks of tests/submissions/hostile/probes.py, made by a task in a sandbox, and without one, as the control."""

import contextlib
import ctypes
import dataclasses
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder.airflow_api import ENDED, AirflowApi
from autograder.airflow_local.airflow import CLUSTER_POLICY
from autograder.airflow_local.local import Shared, World
from autograder.airflow_local.postgres import WAREHOUSE
from autograder.airflow_local.session import Session
from autograder.observe.evidence import seed
from autograder.paths import ASSIGNMENT, ROOT, SOURCE, STATE
from autograder.sandbox import Sandbox, available
from tests.hostile import PROBES, probes

LIMIT = 90.0

pytestmark = pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}")

ATTACKS = probes()
SEEN_FROM_OUTSIDE = {
    "plant_airflow_cfg": "airflow_home_file",
    "plant_in_tmp": "planted",
    "change_what_was_handed_in": "handed_in",
}
"""Attacks that succeed as far as the sandbox goes: whether anything of them is here is looked at here."""


@dataclasses.dataclass
class Played:
    """What the attacks got, by name, with why not; what was found here afterwards; how long the daemon lived."""

    got: dict[str, tuple[object, str]]
    found: dict[str, bool]
    lived: bool
    ended: bool


@dataclasses.dataclass(frozen=True)
class Bystanders:
    """What is on this machine that is none of a submission's business."""

    process: int
    port: int
    address: str
    abstract: str
    socket: str
    segment: int
    shared_memory: str
    folder: Path


@pytest.fixture(scope="module")
def shared(without_secrets: None) -> Iterator[Shared]:
    """Start what both have in common."""
    with Session.open() as session:
        yield Shared.start(session)


@pytest.fixture(scope="module")
def bystanders(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bystanders]:
    """Start a process, listen on sockets, make shared memory."""
    folder = tmp_path_factory.mktemp("bystanders")
    (folder / "gradebook.db").write_text("points")
    (folder / "other_student.py").write_text("work")
    name, key = secrets.token_hex(8), int.from_bytes(secrets.token_bytes(3))
    libc = ctypes.CDLL(None)
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(process.kill)
        listener = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=64))
        for place in ("\0" + name, str(shared.session.folder / "canary")):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(place)
            one.listen(8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            address = "127.0.0.1"
            with contextlib.suppress(OSError):
                probe.connect(("192.0.2.1", 9))
                address = probe.getsockname()[0]
        segment = libc.shmget(key, 4096, 0o1600)
        stack.callback(libc.shmctl, segment, 0, None)
        memory = Path("/dev/shm", name)
        memory.write_text("of another")
        stack.callback(memory.unlink)
        yield Bystanders(
            process.pid, listener.getsockname()[1], address, name, str(shared.session.folder / "canary"), key,
            str(memory), folder,
        )  # fmt: skip


def _play(shared: Shared, bystanders: Bystanders, folder: Path, sandbox: Sandbox | None) -> Played:
    """Have a task make all attacks."""
    name, session = f"hostile_{'in' if sandbox else 'out'}", shared.session
    secret = f"COURSE_SECRET_{secrets.token_hex(4)}".upper()
    project, planted, daemon = folder / name, folder / f"{name}-planted", secrets.token_hex(8)
    shared.commands.wait("airflow")
    world = World.start(shared, name=name, seed="hostile", sandbox=sandbox, rows=100)
    port = shared.postgres
    if not port.has_database(f"{WAREHOUSE}_other"):
        port.create_database(f"{WAREHOUSE}_other", owner=WAREHOUSE)
    seed("somebody")  # the secret is made when it is first asked for
    (STATE / "evidence").mkdir(exist_ok=True)
    needed = {*Path(sys.base_prefix).parents, *ROOT.parents, ROOT, Path(sys.base_prefix)}
    (project / "dags").mkdir(parents=True)
    (project / "include" / "dbt_project").mkdir(parents=True)
    shutil.copy(PROBES, project / "dags" / "taxi_pipeline.py")
    targets: dict[str, Any] = {
        "answers": str(SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"),
        "answers_from_here": os.path.relpath(SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", project / "dags"),
        "source": world.source.server.process.pid,
        "checks": str(ROOT / "autograder" / "checks" / "stretch.py"),
        "secret": str(STATE / "grading-secret"),
        "gradebook": str(bystanders.folder / "gradebook.db"),
        "other_submission": str(bystanders.folder / "other_student.py"),
        "home": str(Path.home()),
        "home_names": [one.name for one in Path.home().iterdir() if one not in needed],
        "in_environment": secret,
        "bystander": bystanders.process,
        "shared_memory": bystanders.shared_memory,
        "segment": bystanders.segment,
        "metadata": port.uri(name),
        "warehouse_as_superuser": port.uri(world.warehouse),
        "other_warehouse": f"{WAREHOUSE}_other",
        "access_log": str(world.source.log),
        "faults": str(world.source.faults),
        "months": str(world.source.months_folder),
        "notifications": str(world.notify_log),
        "evidence": str(STATE / "evidence"),
        "logs": str(session.logs / name),
        "address": bystanders.address,
        "port": bystanders.port,
        "abstract": bystanders.abstract,
        "socket": bystanders.socket,
        "postgres": int((session.folder / "postgres" / "postmaster.pid").read_text().split()[0]),
        "packages": sysconfig.get_path("purelib"),
        "policy": str(CLUSTER_POLICY / "airflow_local_settings.py"),
        "command": str(shared.commands.folder / "airflow"),
        "airflow_home": str(session.folder / name),
        "planted": str(planted),
        "daemon": daemon,
    }
    # The Airflow's port is known once it is made, and its sandbox has a copy of the project then.
    airflow = world.airflow(project, student="mallory", closed=True)
    targets["api"] = airflow.url
    (project / "include" / "targets.json").write_text(json.dumps(targets))
    airflow.put(project / "include")
    os.environ[secret] = "of the teacher"
    try:
        airflow.start()
        api = AirflowApi(airflow.url)
        deadline = time.monotonic() + LIMIT
        while api.dag("taxi_pipeline") is None and time.monotonic() < deadline:
            time.sleep(0.1)
        api.pause("taxi_pipeline", paused=False)
        run = api.trigger("taxi_pipeline", "2024-01-01T00:00:00Z")["dag_run_id"]
        while time.monotonic() < deadline:
            if [one for one in api.runs("taxi_pipeline") if one["dag_run_id"] == run and one["state"] in ENDED]:
                break
            time.sleep(0.1)
        lived = _runs(daemon)
        said = [json.loads(one["body"]) for one in world.notifications()]
        found = {
            "airflow_home_file": (airflow.home / "airflow.cfg.attack").exists(),
            "planted": planted.exists(),
            "handed_in": (project / "dags" / "planted.py").exists(),
        }
    finally:
        del os.environ[secret]
        airflow.stop()
        world.stop()
    return Played({one["attack"]: (one["got"], one["why"]) for one in said}, found, lived, not _runs(daemon))


def _runs(marker: str) -> bool:
    return any(marker in (one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"]))


@pytest.fixture(scope="module")
def control(shared: Shared, bystanders: Bystanders, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Make the attacks without a sandbox."""
    return _play(shared, bystanders, tmp_path_factory.mktemp("control"), None)


@pytest.fixture(scope="module")
def confined(shared: Shared, bystanders: Bystanders, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Make the attacks in a sandbox."""
    with Sandbox() as sandbox:
        played = _play(shared, bystanders, tmp_path_factory.mktemp("confined"), sandbox)
        sandbox.check()
    return played


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gets_nothing_in_a_sandbox_and_what_it_wants_without(
    attack: str, control: Played, confined: Played, bystanders: Bystanders
) -> None:
    if ATTACKS[attack].as_root and os.geteuid() != 0:
        pytest.skip("needs root even without a sandbox")
    if attack == "reach_another_address" and bystanders.address == "127.0.0.1":
        pytest.skip("this machine has no other address")
    if attack == "leave_a_daemon":
        assert control.lived  # it did outlive its task
        assert confined.lived
        assert confined.ended
        return
    if attack in SEEN_FROM_OUTSIDE:
        assert control.found[SEEN_FROM_OUTSIDE[attack]], control.got[attack]
        assert not confined.found[SEEN_FROM_OUTSIDE[attack]]
        return
    assert control.got[attack][0], control.got[attack]
    assert not confined.got[attack][0], confined.got[attack]


def test_every_attack_was_made(control: Played, confined: Played) -> None:
    assert set(control.got) == set(ATTACKS)
    assert set(confined.got) == set(ATTACKS)
