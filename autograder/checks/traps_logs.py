"""Known mistakes that the log of a failed task tells.

Contract: a pattern is what Airflow, Python, Postgres or dbt itself says, matched in the logs of the runs that
decide the lost check.
"""

import re
from dataclasses import dataclass

from autograder.checks.facts import dag, logs, named
from autograder.checks.rules import TASKS, Evidence
from autograder.checks.traps import SCENARIOS, TRAPS, Trap, trap

RUNS = tuple(check for check in SCENARIOS if check != "minimum.failure-gate")
"""The checks whose runs should be green: where they must fail, an error in a log is no mistake."""


@dataclass(frozen=True)
class Said:
    """What a log says, and in which task's: of any where it names none."""

    pattern: str
    task: str = ""

    def __call__(self, evidence: Evidence, check_id: str) -> bool:
        """Return whether a log of the runs that decide the check says it."""
        return any(
            re.search(self.pattern, task["log"])
            for scenario in SCENARIOS[check_id]
            for _, task in logs(evidence[scenario])
            if not self.task or named(task["task_id"], self.task)
        )


SAYINGS: list[Said] = []
"""What the logs of the mistakes below say."""


def _log(name: str, chapter: str, pattern: str, text: str, *, task: str = "") -> None:
    SAYINGS.append(Said(pattern, task))
    TRAPS.append(Trap(name, chapter, text, RUNS, SAYINGS[-1]))


_log(
    "missing-connection", "07", r"AirflowNotFoundException|conn_id .{1,80} isn't defined|Connection not found",
    "Airflow does not know the connection that the task asks for. Here they are called azure_pg and "
    "notify; on an Airflow of your own, add them under Admin, Connections, or as AIRFLOW_CONN_AZURE_PG.",
)  # fmt: skip
_log(
    "delete-before-create", "05", r"UndefinedTable|relation .{1,120} does not exist",
    "The task works on a table that is not there yet: before the first load there is none. Begin with CREATE SCHEMA IF "
    "NOT EXISTS and CREATE TABLE IF NOT EXISTS.", task=TASKS[0],
)  # fmt: skip
_log(
    "env-without-append", "04", r"command not found|exit code 127|returned .{0,20}\b127\b",
    "The command does not find its program. A BashOperator with an env sees only what stands there, and "
    "no PATH, unless append_env=True.",
)  # fmt: skip
_log(
    "dbt-deps-missing", "04", r"dbt deps|package\(s\) specified in packages\.yml",
    "The dbt project uses packages that are not installed: run `dbt deps` before `dbt run`, in the same task.",
)  # fmt: skip
_log(
    "parallel-dbt", "05", r"__dbt_backup|__dbt_tmp.{0,40} already exists|tuple concurrently updated",
    "Two dbt runs worked in one schema at once, and took each other's tables away. Let one run go on at a time: "
    "max_active_runs=1 in the DAG, and --max-active-runs 1 with a backfill, which has a limit of its own.",
)  # fmt: skip
_log(
    "too-many-connections", "07", r"too many clients already|remaining connection slots",
    "More connections were opened at once than the database takes. Let fewer runs and tasks go on at a time, and close "
    "each connection: use it in a `with` block.",
)  # fmt: skip
_log(
    "no-logical-date", "05",
    r"KeyError: '(ds|ds_nodash|ts|logical_date|data_interval_start|data_interval_end)'"
    r"|'(ds|ds_nodash|ts|logical_date|data_interval_start|data_interval_end)' is undefined"
    r"|'NoneType' object has no attribute '(strftime|year|month|date|replace|in_timezone|start_of|format|isoformat)'",
    "A run that is triggered by hand has no logical date, and so no ds, unless it is given one. Use "
    "`dag_run.logical_date or dag_run.run_after`.",
)  # fmt: skip
_log(
    "error-page-as-parquet", "05", r"magic bytes|ArrowInvalid|not a parquet file",
    "What was read as Parquet is no Parquet file: an error page of the source, such as that of a 403, or "
    "half a file. Call raise_for_status() on the answer before you keep it.",
)  # fmt: skip
_log(
    "path-through-xcom", "04", r"FileNotFoundError",
    "The task looks for a file that another task wrote, or that this machine does not have. Tasks may run on different "
    "machines: download and load in one task, and pass no file's path from one task to the next.",
)  # fmt: skip
_log(
    "shadowed-context", "04", r"in args is a part of kwargs and therefore reserved",
    "A @task function may not have an argument named like something of Airflow's context, such as ds. Take it from "
    "get_current_context().",
)  # fmt: skip


@trap(
    "retries-hide-a-bug",
    chapter="07",
    text="The task failed with the same mistake in the code at each try. Retries help against faults that "
    "pass, not against a bug: read the last line of the log.",
    checks=RUNS,
)
def retries_hide_a_bug(evidence: Evidence, check_id: str) -> bool:
    """Look for a programming error that came at every try, and that is none of those above."""
    bug = re.compile(
        r"\b(NameError|TypeError|AttributeError|ImportError|ModuleNotFoundError|UnboundLocalError|KeyError|SyntaxError"
        r"|UndefinedColumn|UndefinedFunction)\b"
    )
    return not any(said(evidence, check_id) for said in SAYINGS) and any(
        task["tries"] > 1 and bug.search(task["log"])
        for scenario in SCENARIOS[check_id]
        for _, task in logs(evidence[scenario])
    )


@trap(
    "import-of-airflow-2",
    chapter="02",
    text="The file imports from where Airflow 2 had it. In Airflow 3, dag and task come from airflow.sdk, and "
    "operators from their provider: airflow.providers.standard.operators.bash has BashOperator.",
    checks=("minimum.dag-loads",),
)
def import_of_airflow_2(evidence: Evidence, _: str) -> bool:
    """Look for a module of Airflow that is not there any more."""
    return not evidence["dag_id"] and any(
        re.search(r"(No module named|cannot import name).*\bairflow\b", error["text"])
        for error in evidence["parsed"]["import_errors"]
    )


@trap(
    "import-error",
    chapter="06",
    text="A DAG file that cannot be imported gives no red DAG: the DAG is missing from Airflow's list, and "
    "nothing runs. The last line of the error says what is wrong; `python dags/taxi_pipeline.py` shows it "
    "too.",
    checks=("minimum.dag-loads",),
)
def import_error(evidence: Evidence, check_id: str) -> bool:
    """Look for a file that Python can read, and whose import fails."""
    errors = [error["text"].strip().splitlines() or [""] for error in evidence["parsed"]["import_errors"]]
    told = ("SyntaxError", "IndentationError", "TabError", "NotImplementedError")
    other = not any(lines[-1].startswith(told) for lines in errors) and not import_of_airflow_2(evidence, check_id)
    return not evidence["dag_id"] and bool(errors) and other


@trap(
    "get-dag-in-tests",
    chapter="06",
    text="dag_bag.get_dag() asks Airflow's database, which a test has none of. Take the DAG from dag_bag.dags instead.",
    checks=("stretch.own-tests",),
)
def get_dag_in_tests(evidence: Evidence, _: str) -> bool:
    """Look for get_dag in what pytest said of the student's own DAG."""
    tests = evidence["own_tests"]
    return bool(tests) and tests["own"]["code"] != 0 and "get_dag" in tests["own"]["output"]


@trap(
    "no-delay",
    chapter="07",
    text="retry_delay is 0: give the source time to recover, such as timedelta(minutes=5).",
    checks=("minimum.retries",),
)
def no_delay(evidence: Evidence, _: str) -> bool:
    """Look for retries that come at once."""
    tasks = [task for task_id, task in dag(evidence)["tasks"].items() if named(task_id, TASKS[0])]
    return any(task["retries"] and not task["retry_delay"] for task in tasks)


@trap(
    "no-retries",
    chapter="07",
    text='The task has too few retries to outlive two faults that pass. default_args={"retries": 2, ...} gives '
    "them to all.",
    checks=("minimum.retries",),
)
def no_retries(evidence: Evidence, _: str) -> bool:
    """Look for fewer retries than faults."""
    tasks = [task for task_id, task in dag(evidence)["tasks"].items() if named(task_id, TASKS[0])]
    return any(task["retries"] < 2 for task in tasks)
