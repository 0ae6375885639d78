"""The student's own tests: on their DAG, and on copies of the project into which a bug was put.

Contract: `try_out` runs pytest on tests/ of a project, in the environment of an Airflow that is not running and has a
warehouse of its own. A bug is a piece of code at the end of a copy of the DAG file that changes the finished DAG, so
that it fits any style of writing one.
"""

import os
import shutil
import textwrap
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from autograder.airflow_local.airflow import CLUSTER_POLICY, Airflow
from autograder.observe import programs
from autograder.observe.stage import Part

AT_ONCE = 2
OWN = "own"
LARGEST_REPORT = 5_000_000
NONE = {"passed": 0, "failed": 0, "errors": 0}

# Found by what it is, not by a name: the file may have made it in a function, or thrown its result away.
_FIND = """

import gc as _gc
from airflow.sdk import DAG as _DAG
for _dag in [_one for _one in _gc.get_objects() if issubclass(type(_one), _DAG)]:
    if _dag.fileloc != __file__ or "_spoiled" in vars(_dag):  # one of an earlier import of this file
        continue
    vars(_dag)["_spoiled"] = True
    _tasks = list(_dag.tasks)
"""

BUGS = {
    "import_error": "raise RuntimeError('a bug that stops the import')",
    "other_dag_id": "_dag.dag_id = 'another_' + _dag.dag_id",
    "no_order": """
        for _task in _tasks:
            _task.upstream_task_ids.clear()
            _task.downstream_task_ids.clear()
        """,
    "task_missing": """
        _last = [_task for _task in _tasks if not _task.downstream_task_ids][-1]
        for _task in _tasks:
            _task.downstream_task_ids.discard(_last.task_id)
        _dag.task_dict.pop(_last.task_id)
        (_last.task_group or _dag.task_group).children.pop(_last.task_id, None)
        """,
    "no_retries": """
        _dag.default_args["retries"] = 0
        for _task in _tasks:
            _task.retries = 0
        """,
    "daily_with_catchup": """
        from airflow.sdk.definitions.dag import _create_timetable
        # Airflow lets nobody change a schedule: past its guard, then.
        vars(_dag).update(schedule="@daily", timetable=_create_timetable("@daily", _dag.timezone), catchup=True)
        """,
}
"""Each bug's name, and the code that puts it into `_dag`, with its tasks `_tasks`."""


def with_bug(source: str, bug: str) -> str:
    """Return a DAG file's text with a bug at its end."""
    if bug == "import_error":
        return f"{source}\n\n{BUGS[bug]}\n"
    return f"{source}{_FIND}{textwrap.indent(textwrap.dedent(BUGS[bug]).strip(), ' ' * 4)}\n"


def try_out(airflow: Airflow, project: Path, dag_file: str, folder: Path) -> Part | None:
    """Run the tests.

    Parameters
    ----------
    airflow
        In whose environment; its DAGs folder is that of each copy in turn.
    project
        Holds `tests/`.
    dag_file
        The file with the DAG, in `dags/`.
    folder
        For the copies.

    Returns
    -------
    dict or None
        `own`, on the DAG as it is; `bugs`, by name, on each bug: pytest's exit `code` (None where it did not end in
        time), tests `passed`, `failed`, in `errors`; for `own` the end of the `output`. None without tests/.
    """
    if not (project / "tests").is_dir():
        return None
    source = (project / "dags" / dag_file).read_text(encoding="utf-8")

    for bug in (None, *BUGS):
        copy = folder / (bug or OWN)
        shutil.copytree(project, copy)
        if bug:
            (copy / "dags" / dag_file).write_text(with_bug(source, bug), encoding="utf-8")
    airflow.put(folder)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        own, *buggy = pool.map(lambda name: _pytest(airflow, folder / name), [OWN, *BUGS])
    for result in buggy:
        del result["output"]
    return {"own": own, "bugs": dict(zip(BUGS, buggy, strict=True))}


def _pytest(airflow: Airflow, project: Path) -> dict[str, Any]:
    report = project / ".report.xml"
    environment = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join([str(CLUSTER_POLICY), str(project)]),
    }
    program = shutil.which("pytest", path=airflow.environment["PATH"]) or "pytest"
    argv = [program, "-q", "-p", "no:cacheprovider", "--rootdir", str(project), f"--junitxml={report}", "tests"]
    code, output = programs.run(airflow, argv, cwd=project, env=environment)
    counts = _counts(airflow.written(report, LARGEST_REPORT)) if code is not None else NONE
    return {"code": code, **counts, "output": output}


def _counts(report: str) -> dict[str, int]:
    """Count by pytest's report, which a test may have written itself: it says no more than a test that passes."""
    if "<!" in report:  # a document type: pytest writes none, and what one can define grows without end
        return NONE
    try:
        suites = ElementTree.fromstring(report).iter("testsuite")  # noqa: S314 - without a document type
        total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
        for suite in suites:
            for name in total:
                total[name] += int(suite.get(name, 0))
    except (ValueError, ElementTree.ParseError):
        return NONE
    failed, errors = total["failures"], total["errors"]
    return {"passed": total["tests"] - failed - errors - total["skipped"], "failed": failed, "errors": errors}
