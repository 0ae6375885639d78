"""Whole submissions that attack the observer or use up what there is: those of tests/submissions/hostile/.

Each is observed in a sandbox, and what its docstring says is seen. The control shows that the attack gets somewhere:
without the limit that holds it, by what of it is believed, or by what it did before it was held.
"""

import ast
import contextlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.airflow_local import local
from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.checks.rules import RULES, Finding
from autograder.errors import CourseError
from autograder.observe.observation import Observation
from autograder.observe.stage import Stage
from autograder.sandbox import Ended, Limits, Sandbox, available
from autograder.sandbox.namespaces import Namespaces
from tests.hostile import HOSTILE, whole

TMP = Path("/tmp")

pytestmark = pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}")


@pytest.fixture(scope="module")
def shared(without_secrets: None) -> Iterator[Shared]:
    with Session.open() as session:
        yield Shared.start(session)


def observe(shared: Shared, folder: Path, name: str, *wanted: str, limits: Limits | None = None) -> dict[str, Any]:
    """Observe a submission in a sandbox, which may end it."""
    if (HOSTILE / name).is_dir():
        shutil.copytree(HOSTILE / name, folder, dirs_exist_ok=True)
    else:
        (folder / "dags").mkdir()
        shutil.copy(HOSTILE / f"{name}.py", folder / "dags" / "taxi_pipeline.py")
    (folder / "include" / "dbt_project").mkdir(parents=True, exist_ok=True)
    with Sandbox(limits or Limits(seconds=200)) as sandbox:
        try:
            return Observation(shared, folder, "mallory", name, lambda _: sandbox.check(), sandbox).run(
                wanted, "hostile"
            )
        finally:
            sandbox.check()


def judged(check: str, seen: dict[str, Any]) -> Finding:
    """Return what one check finds, whatever those find that it waits for."""
    return RULES[check].find({**seen, "student": "mallory"})


@pytest.mark.parametrize("name", whole())
def test_each_says_what_it_tries_what_holds_it_and_what_is_seen(name: str) -> None:
    told = whole()[name]
    assert list(told) == ["Tries", "Held by", "Seen"]
    assert name in Path(__file__).read_text()


@pytest.mark.parametrize(
    ("name", "file"), [("describes_another_dag", "taxi_pipeline.py"), ("claims_another_file", "taxi_pipeline.py")]
)
def test_a_perfect_description_is_believed_but_not_in_which_file_it_is(
    shared: Shared, tmp_path: Path, name: str, file: str
) -> None:
    seen = observe(shared, tmp_path, name, "parse")
    dag = seen["parsed"]["dags"]["taxi_pipeline"]
    assert judged("minimum.task-order", seen).ok  # so far it succeeds
    assert dag["file"] == file
    if name == "claims_another_file":
        assert dag["tags"] == ["forged"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("says_nonsense", "ended the process that imported it"),
        ("floods_the_observer", "more in it than can be described"),
    ],
)
def test_a_description_is_not_believed(shared: Shared, tmp_path: Path, name: str, why: str) -> None:
    parsed = observe(shared, tmp_path, name, "parse")["parsed"]
    assert parsed["dags"] == {}
    assert why in parsed["import_errors"][0]["text"]


def test_pipes_do_not_hold_the_observer_up(shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, pipes = Namespaces.read, 0

    def counting(inside: Namespaces, path: Path, limit: int) -> bytes | None:
        nonlocal pipes
        with contextlib.suppress(OSError):
            about = os.stat(str(path.relative_to("/")), dir_fd=inside._root, follow_symlinks=False)
            pipes += stat.S_ISFIFO(about.st_mode)
        return read(inside, path, limit)

    monkeypatch.setattr(Namespaces, "read", counting)
    seen = observe(shared, tmp_path, "leaves_pipes", "parse", "january")
    assert [run["state"] for run in seen["january"]["runs"]] == ["success"]
    assert pipes  # the control: there was one where we read


@pytest.mark.parametrize("held", [True, False])
def test_no_task_id_leads_out_of_the_logs(
    shared: Shared, tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path("/tmp/course-escaped")  # as the DAG file has it
    shutil.rmtree(outside, ignore_errors=True)
    if not held:  # the control: Airflow as it is
        monkeypatch.delitem(local.GRADED, "AIRFLOW__LOGGING__LOG_FILENAME_TEMPLATE")
    try:
        seen = observe(shared, tmp_path, "writes_outside_the_logs", "parse", "january")
        assert [run["state"] for run in seen["january"]["runs"]] == ["success"]
        assert outside.exists() is not held
    finally:
        shutil.rmtree(outside, ignore_errors=True)


@pytest.mark.parametrize(
    ("name", "held", "outcome", "why", "free"),
    [
        # The control of the first: it goes as far as it may.
        ("floods_its_log", Limits(logs_mb=20), "student_error", "MiB of logs; 20 MiB", Limits(logs_mb=60)),
        ("asks_without_end", Limits(witnessed_mb=1), "student_error", "1 MiB were not enough", Limits()),
        ("passes_on_too_much", Limits(database_mb=30), "student_error", "A database grew to", Limits()),
        pytest.param(
            "takes_all_memory", Limits(memory_mb=2000), "out_of_memory", "2000 MiB", Limits(memory_mb=6000),
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_bomb_ends_its_submission_and_nothing_else(
    shared: Shared, tmp_path: Path, name: str, held: Limits, outcome: str, why: str, free: Limits
) -> None:
    with pytest.raises(Ended) as ended:
        observe(shared, tmp_path, name, "parse", "january", limits=held)
    assert (ended.value.outcome, why in ended.value.reason) == (outcome, True), ended.value.reason
    (tmp_path / "next").mkdir()
    if name == "floods_its_log":
        with pytest.raises(Ended, match="60 MiB are allowed"):
            observe(shared, tmp_path / "next", name, "parse", "january", limits=free)
        return
    # The control, and the next submission in one: with more room it does what it wants.
    seen = observe(shared, tmp_path / "next", name, "parse", "january", limits=free)
    assert [run["state"] for run in seen["january"]["runs"]] == ["success"]


def test_who_ends_a_session_that_reads_is_ended(shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(Ended, match="Reading the tables ended the session"):
        observe(shared, tmp_path, "ends_who_reads", "parse", "january")


def test_tasks_that_end_early_load_nothing(shared: Shared, tmp_path: Path) -> None:
    seen = observe(shared, tmp_path, "leaves_early", "parse", "january")
    (run,) = seen["january"]["runs"]
    assert run["state"] == "success"  # so far they succeed
    assert {task["end"][:4] for task in run["tasks"]} == {"1999"}
    assert run["end"] > run["start"] > "2026"
    assert not judged("minimum.run-green", seen).ok


def test_what_equals_everything_equals_nothing_here(shared: Shared, tmp_path: Path) -> None:
    source = (HOSTILE / "equals_everything.py").read_text()
    there: dict[str, Any] = {}
    exec(next(ast.unparse(one) for one in ast.parse(source).body if isinstance(one, ast.ClassDef)), there)
    assert there["Yes"]("0 3 * * 1") == "@monthly"  # the control: whoever compares it is told so
    seen = observe(shared, tmp_path, "equals_everything", "parse")
    assert set(seen["parsed"]["dags"]) == {"taxi_pipeline"}
    assert not judged("minimum.schedule", seen).ok


def test_asserts_that_are_stripped_find_no_mistake(shared: Shared, tmp_path: Path) -> None:
    seen = observe(shared, tmp_path, "strips_asserts", "parse", "own_tests")
    assert (seen["own_tests"]["own"]["code"], seen["own_tests"]["own"]["passed"]) == (0, 2)  # so far they succeed
    assert not judged("stretch.own-tests", seen).ok


def test_who_sleeps_and_retries_for_ever_is_given_up(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Stage.play.__kwdefaults__ or {}, "limit", 8.0)
    january = observe(shared, tmp_path, "retries_for_ever", "parse", "january")["january"]
    assert january["in_time"] is False
    assert max(task["tries"] for run in january["runs"] for task in run["tasks"]) > 1  # it went on trying
    assert [run["state"] for run in january["runs"]] == ["failed"]


def test_modules_that_python_imports_by_name_run_nowhere_outside(shared: Shared, tmp_path: Path) -> None:
    def planted() -> set[str]:
        return {path.name.removeprefix("course-planted-") for path in TMP.glob("course-planted-*")}

    assert not planted()
    try:
        seen = observe(shared, tmp_path, "plants_modules", "parse", "january")
        assert [run["state"] for run in seen["january"]["runs"]] == ["success"]
        assert not planted()
        # The control: who searches that folder runs them.
        subprocess.run(
            [sys.executable, "-c", "import airflow_local_settings"],
            env={"PYTHONPATH": str(tmp_path / "dags")},
            check=True,
        )
        assert planted() == {"sitecustomize", "airflow_local_settings"} | ({"usercustomize"} & planted())
    finally:
        for path in TMP.glob("course-planted-*"):
            path.unlink()


def test_sql_in_hooks_and_macros_of_dbt_is_the_students(shared: Shared, tmp_path: Path) -> None:
    seen = observe(shared, tmp_path, "hooks_in_dbt", "parse", "january")["january"]
    assert [run["state"] for run in seen["runs"]] == ["success"], seen["runs"]
    assert seen["tables"]["fct_trips"]["rows"] == 1  # the control: it looked for its own user
    assert seen["tables"]["raw_trips"]["rows"] == 0  # which is no superuser
    assert {one["application_name"] for one in seen["dbt"]} == {"dbt"}  # and the witness went on


@pytest.mark.slow
def test_a_supervisor_that_is_filled_takes_nobody_with_it(shared: Shared, tmp_path: Path) -> None:
    seen = observe(shared, tmp_path, "fills_its_supervisor", "parse", "january", "manual_run", "other_month")
    assert [run["state"] for run in seen["january"]["runs"]] == ["failed"]
    # The control: a supervisor came to its limit.
    log = max(shared.session.logs.glob("observe_*-scheduler.log"), key=lambda path: path.stat().st_mtime)
    assert "MemoryError" in log.read_text()


@pytest.mark.slow
def test_a_perfect_description_of_no_dag_brings_no_run(shared: Shared, tmp_path: Path) -> None:
    # Airflow has no such DAG: that cannot be told from a fault of ours, and a teacher is told of it.
    with pytest.raises(CourseError, match="taxi_pipeline was not found"):
        observe(shared, tmp_path, "describes_another_dag", "parse", "january")
