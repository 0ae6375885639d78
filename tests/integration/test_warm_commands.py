"""`airflow` and `dbt` by their warm parents behave as the packages' own commands do, run side by side."""

import contextlib
import difflib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import termios
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import pytest

from autograder.airflow_local import postgres
from autograder.airflow_local.airflow import Airflow
from autograder.airflow_local.commands import SCRIPTS, search_path
from autograder.airflow_local.local import Shared
from autograder.airflow_local.postgres import WAREHOUSE
from autograder.airflow_local.session import Session
from autograder.paths import DBT_PROJECT
from autograder.waiting import until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="warm parents are used on Linux only"),
]

COSMOS_DAG = """
# An Airflow DAG, as it has to say.
from pathlib import Path

from cosmos import DbtDag, ProfileConfig, ProjectConfig

folder = Path(__file__).parent.parent
profile = ProfileConfig(profile_name="taxi", target_name="warehouse", profiles_yml_filepath=folder / "profiles.yml")
made = DbtDag(dag_id="by_cosmos", project_config=ProjectConfig(folder), profile_config=profile)
"""

DAG = """
from airflow.sdk import dag, task

@dag(schedule="@monthly", tags=["listed"])
def listed():
    @task
    def nothing(): ...
    nothing()

@dag
def failing():
    @task
    def fails():
        raise ValueError("on purpose")
    fails()

listed()
failing()
"""

MODELS = {"good": "select 1 as answer", "bad": "select 1 / 0 as answer", "slow": "select pg_sleep(60)"}

CHANGES = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]?\d*(Z|[+-]\d\d:?\d\d)?", "TIME"),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"\d+\.\d+(s| seconds)", "SECONDS"),
    (r"\d+ hours ", ""),
    # Said when a package is imported: once, by the warm parent, and by each real command.
    (r"(?m)^.*(Could not import graphviz(.*\n){2}|\[openlineage/namespace\]|To enable emitting Openlineage).*\n", ""),
    # Said from the second test of a DAG on, whoever runs it.
    (r"(?m)^.*Multiple rows returned with uselist=False.*\n", ""),
    (r"run_duration=[\d.]+|DateTime\([^()]*Timezone\('UTC'\)\)", "TIME"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
]
"""What differs between two runs of one command."""


SCRIPT_IN_TRACEBACK = rf'  File "{SCRIPTS}/.*\n    sys.exit.*\n( +\^+\n)?'
"""The line of the program's script, which a warm parent does without."""


@dataclass(frozen=True)
class Both:
    """Where the commands run, and the real ones beside those that go through the warm parents."""

    shared: Shared
    environment: Mapping[str, str]
    folder: Path

    def argv(self, program: str, *arguments: str) -> list[list[str]]:
        """Return the real command and ours."""
        return [[str(where / program), *arguments] for where in (SCRIPTS, self.shared.commands.folder)]


@contextlib.contextmanager
def opened(project: Path) -> Iterator[Both]:
    """Open a session with an Airflow on a project, whose components are not started."""
    with Session.open() as session:
        shared = Shared.start(session)
        shared.postgres.create_database("both", template=postgres.TEMPLATE_DATABASE)
        shared.postgres.create_database("warehouse_both", owner=WAREHOUSE)
        extra = {
            "PATH": search_path(session),
            "PG_HOST": "127.0.0.1",
            "PG_PORT": str(shared.postgres.port),
            "PG_USER": WAREHOUSE,
            "PG_PASSWORD": shared.postgres.passwords[WAREHOUSE],
            "PG_DBNAME": "warehouse_both",
            "PG_SCHEMA": "both",
        }
        airflow = Airflow(session, shared.postgres, "both", project / "dags", extra, shared.keys)
        for program in shared.commands.parents:
            shared.commands.wait(program)
        yield Both(shared, session.environment(airflow.environment), project)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    project = tmp_path_factory.mktemp("project")
    (project / "dags").mkdir()
    (project / "dags" / "listed.py").write_text(DAG)
    (project / "cosmos").mkdir()
    (project / "cosmos" / "by_cosmos.py").write_text(COSMOS_DAG)
    (project / "models").mkdir()
    for name, text in MODELS.items():
        (project / "models" / f"{name}.sql").write_text(text)
    (project / "dbt_project.yml").write_text(
        "name: small\nprofile: taxi\nflags: {send_anonymous_usage_stats: false}\n"
        "models: {small: {+materialized: table}}\n"
    )
    (project / "profiles.yml").write_text((DBT_PROJECT / "profiles.yml").read_text())
    with opened(project) as both:
        _, ours = both.argv("airflow", "dags", "reserialize")
        subprocess.run(ours, env=both.environment, check=True, capture_output=True, timeout=120)
        yield both


def normal(output: bytes) -> str:
    """Return what a command said without what differs from one run to the next."""
    text = re.sub(SCRIPT_IN_TRACEBACK, "", output.decode())
    for pattern, instead in CHANGES:
        text = re.sub(pattern, instead, text)
    return text


def same_text(real: str, ours: str) -> None:
    """Fail, showing the lines that differ, unless two texts are the same."""
    if differing := list(difflib.unified_diff(real.splitlines(), ours.splitlines(), "real", "ours", lineterm="", n=1)):
        pytest.fail("\n".join(differing))


CASES = {
    "airflow --help": 0,
    "airflow no-such-command": 2,
    "airflow dags trigger": 2,
    "airflow dags list -o json": 0,
    "airflow dags list-import-errors": 0,
    "airflow dags test failing 2024-01-01": 1,
    "airflow tasks list listed": 0,
    "airflow config get-value core dags_folder": 0,
    "airflow config list": 0,
    "airflow connections get no_such": 1,
    "airflow dags trigger no_such_dag": 1,
    "airflow db check": 0,
    "airflow backfill create --dag-id listed --from-date 2024-01-01 --to-date 2024-03-01 --dry-run": 0,
    "dbt --version": 0,
    "dbt run --help": 0,
    "dbt no-such-command": 2,
    "dbt run --select good": 0,
    "dbt run --select bad": 1,
    "dbt debug": 0,
    "dbt run --project-dir nowhere": 2,
}
"""Commands, and the code that each ends with."""


@pytest.fixture(scope="module")
def outcomes(both: Both) -> dict[str, list[tuple[int, str, str]]]:
    """Run all cases both ways, two at a time."""

    def outcome(argv: list[str]) -> tuple[int, str, str]:
        with tempfile.TemporaryDirectory() as place:  # dbt remembers what it parsed: neither is to find the other's
            done = subprocess.run(
                argv, env={**both.environment, "DBT_TARGET_PATH": f"{place}/target", "DBT_LOG_PATH": f"{place}/logs"},
                cwd=both.folder, capture_output=True, timeout=300, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        out, err = (normal(said).replace(place, "PLACE") for said in (done.stdout, done.stderr))
        return done.returncode, out, err

    def pair(case: str) -> list[tuple[int, str, str]]:
        return [outcome(argv) for argv in both.argv(*case.split())]

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CASES, pool.map(pair, CASES), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_same_code_and_output(outcomes: dict[str, list[tuple[int, str, str]]], case: str) -> None:
    real, ours = outcomes[case]
    same_text(real[1], ours[1])
    same_text(real[2], ours[2])
    assert (real[0], ours[0]) == (CASES[case], CASES[case])


def test_stdin_is_the_commands(both: Both) -> None:
    said = []
    for argv in both.argv("airflow", "dags", "delete", "listed"):
        done = subprocess.run(argv, env=both.environment, input=b"n\n", capture_output=True, check=False, timeout=120)
        said.append((done.returncode, normal(done.stdout), normal(done.stderr)))
    assert said[1] == said[0]
    assert "Cancelled" in said[0][1]


def test_the_environment_is_the_commands(both: Both) -> None:
    environment = {**both.environment, "AIRFLOW__CORE__PARALLELISM": "77", "AIRFLOW_HOME": str(both.folder / "home")}
    (both.folder / "home").mkdir()
    (both.folder / "home" / "airflow.cfg").write_text("[email]\nfrom_email = ada@example.org\n")
    for option, value in (("core parallelism", "77"), ("email from_email", "ada@example.org")):
        for argv in both.argv("airflow", "config", "get-value", *option.split()):
            done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=120)
            assert done.stdout.strip() == value, argv


def test_cosmos_finds_the_dbt_that_it_was_imported_with(both: Both) -> None:
    environment = {**both.environment, "AIRFLOW__CORE__DAGS_FOLDER": str(both.folder / "cosmos")}
    _, ours = both.argv("airflow", "dags", "list", "--local", "--output", "json")
    done = subprocess.run(ours, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert "by_cosmos" in done.stdout, done.stdout + done.stderr


class Terminal:
    """A command in a pseudo-terminal, which is killed unless it has ended."""

    def __init__(self, argv: list[str], both: Both) -> None:
        self.pid, self.place = pty.fork()
        if self.pid == 0:
            os.chdir(both.folder)
            termios.tcsetwinsize(0, (33, 61))
            os.execve(argv[0], argv, {**both.environment, "TERM": "xterm-256color"})
        self.said = b""
        self.code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.end()
        os.close(self.place)

    def until(self, text: bytes) -> None:
        """Read until `text` has been said."""
        while text not in self.said:
            self.said += self._read()

    def _read(self) -> bytes:
        assert select.select([self.place], [], [], 120)[0], f"It is silent after {self.said!r}"
        return os.read(self.place, 4096)

    def end(self) -> int:
        """Read all, and return the exit code."""
        with contextlib.suppress(OSError):  # how Linux tells the end
            while part := self._read():
                self.said += part
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


@pytest.mark.parametrize("case", ["airflow dags list", "airflow --help", "dbt run --threads 1 --select good bad"])
def test_colours_and_width_in_a_terminal(both: Both, case: str, tmp_path: Path) -> None:
    said = []
    for kind, argv in zip(("real", "ours"), both.argv(*case.split()), strict=True):
        target = str(tmp_path / kind)  # where dbt remembers what it parsed
        with Terminal([*argv, *(["--target-path", target] if "dbt" in case else [])], both) as terminal:
            code = terminal.end()
        said.append(f"{normal(terminal.said)}\r\ncode {code}".replace(target, "TARGET"))
    same_text(*said)
    if not case.endswith("--help"):
        assert "\x1b[" in said[0]


KEY = b"\x03"


@pytest.mark.parametrize("how", [KEY, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_dbt_is_interrupted(both: Both, how: signal.Signals | bytes, tmp_path: Path) -> None:
    ends = []
    for kind, argv in zip(("real", "ours"), both.argv("dbt", "run", "--select", "slow"), strict=True):
        with Terminal([*argv, "--target-path", str(tmp_path / kind)], both) as terminal:
            terminal.until(b"START sql")
            if isinstance(how, bytes):
                os.write(terminal.place, how)
            elif how == signal.SIGKILL and kind == "ours":
                children = psutil.Process(both.shared.commands.parents["dbt"].pid).children()
                (child,) = [one for one in children if "resource_tracker" not in " ".join(one.cmdline())]
                child.kill()
            else:
                os.kill(terminal.pid, how)
            code = terminal.end()
        ends.append((code, *(word in terminal.said for word in (b"CANCELLED", b"Cancel", b"Traceback"))))
    assert ends[1] == ends[0]


@pytest.mark.parametrize("how", [KEY, signal.SIGTERM], ids=str)
def test_the_api_server_is_interrupted(both: Both, how: signal.Signals | bytes) -> None:
    ends = []
    for argv in both.argv("airflow", "api-server"):
        with Terminal(argv, both) as terminal:
            terminal.until(b"Uvicorn running")
            if isinstance(how, bytes):
                os.write(terminal.place, how)
            else:
                os.kill(terminal.pid, how)
            code = terminal.end()
        ends.append((code, *(word in terminal.said for word in (b"Finished server process", b"Traceback"))))
    assert ends[1] == ends[0]
    assert ends[0][1]


def run_ours(both: Both, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands."""
    _, ours = both.argv(*argv)
    return subprocess.run(ours, env=both.environment, capture_output=True, text=True, check=True, timeout=120)


def test_two_sessions_keep_apart(both: Both) -> None:
    with opened(both.folder) as other:
        for one, value in ((both, "first"), (other, "second")):
            run_ours(one, "airflow", "variables", "set", "whose", value)
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(lambda one: run_ours(one, "airflow", "variables", "get", "whose"), (both, other)))
        assert [one.stdout.strip() for one in said] == ["first", "second"]
        for parent in other.shared.commands.parents.values():
            parent.kill()
            parent.wait()
        assert "the warm parent has ended" in run_ours(other, "airflow", "version").stderr
    for program in ("airflow", "dbt"):
        assert run_ours(both, program, "--help").stderr == "", "the first session's parents go on"


def test_changed_packages_are_noticed(both: Both) -> None:
    before = run_ours(both, "airflow", "version")
    os.utime(sysconfig.get_path("purelib"))  # as an installation leaves it
    during = run_ours(both, "airflow", "version")
    assert "airflow: packages have changed, so the warm parent starts again" in during.stderr
    log = both.shared.session.logs / "warm-airflow.log"
    until(lambda: "starting again" in log.read_text(), "The warm parent does not start again", 120, "")
    after = run_ours(both, "airflow", "version")
    assert (after.stdout, after.stderr) == (during.stdout, "") == (before.stdout, "")
