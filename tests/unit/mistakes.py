"""What submissions do, right and wrong, as it shows in the evidence, and the check that each loses.

Contract: a change spoils the evidence of `tests.unit.evidence.perfect()` in the way of one real mistake (or of
none). tests/unit/test_checks.py judges each; the names are those of the texts in golden/checks/. Changes are in
tests/unit/changes.py.
"""

from dataclasses import dataclass

from tests.unit.changes import (
    LOG,
    NOT_WRITTEN,
    SYNTAX,
    TRACE,
    Change,
    asked,
    cut_but_green,
    dag,
    dag_called,
    dbt_by,
    downstream,
    fails,
    files,
    half_loaded,
    hanging,
    hidden,
    holds,
    named,
    not_imported,
    notified,
    only,
    other_content,
    parsed_with,
    quarterly,
    refused,
    runbook,
    runs,
    set_dag,
    set_task,
    shared,
    tested,
    then,
    without_task,
)
from tests.unit.evidence import (
    BEGIN,
    IN_MONTH,
    OTHER,
    PRACTISED,
    REPORT,
    RUNBOOK,
    STRAYS,
    Evidence,
    fail,
    perfect,
    request,
    table,
    tables,
)


@dataclass(frozen=True)
class Mistake:
    """What a submission did, as it shows in the evidence, and the check that it loses."""

    loses: str
    change: Change
    cause: str | None = None
    """Part of the cause that the check itself shows."""
    trap: str | None = None
    """The known mistake that is recognised."""


NOW = f"{BEGIN:%Y-%m}"
JANUARY = {"2024-01": IN_MONTH["2024-01"]}
ONLY_JULY = {"2024-07": IN_MONTH["2024-07"]}
WITH_STRAYS = IN_MONTH | {"2023-12": STRAYS * len(IN_MONTH)}
EVERY_MONTH = [request(month) for month in IN_MONTH]


def january(log: str, task: str = "ingest_taxi_month") -> Change:
    return fails("january", log, task)


MISTAKES = {
    # minimum.dag-loads
    "import_error": Mistake("minimum.dag-loads", not_imported(TRACE), trap="import-of-airflow-2"),
    "import_error_of_another_file": Mistake(
        "minimum.dag-loads", not_imported(TRACE, "pipeline.py"), trap="import-of-airflow-2"
    ),
    "import_error_of_ones_own": Mistake(
        "minimum.dag-loads", not_imported(TRACE.replace("airflow.operators.bash", "helpers")), trap="import-error"
    ),
    "import_error_of_another_module": Mistake(
        "minimum.dag-loads",
        not_imported("NameError: name 'DAG' is not defined\n"),
        trap="import-error",
    ),
    "syntax_error": Mistake("minimum.dag-loads", not_imported(SYNTAX), "the caret"),
    "not_written_yet": Mistake("minimum.dag-loads", not_imported(NOT_WRITTEN), "in place of that line"),
    "no_file": Mistake("minimum.dag-loads", then(named(), files(dags=[])), "%%writefile"),
    "no_dag": Mistake("minimum.dag-loads", named(), "not called"),
    "other_dag_id": Mistake("minimum.dag-loads", named("taxi"), "what dag_id in @dag(...) says"),
    "slow_import": Mistake("minimum.dag-loads", parsed_with(seconds=14.2), "Something slow"),
    "download_while_parsing": Mistake(
        "minimum.dag-loads", parsed_with(source=["/trip-data/green_tripdata_2024-01.parquet"]), "each time that Airflow"
    ),
    "variable_while_parsing": Mistake("minimum.dag-loads", parsed_with(metadata=2), "each time that Airflow"),
    "warehouse_while_parsing": Mistake("minimum.dag-loads", parsed_with(warehouse=1), "each time that Airflow"),
    # minimum.schedule
    "schedule_daily": Mistake("minimum.schedule", set_dag(schedule="0 0 * * *"), trap="daily-schedule"),
    "schedule_none": Mistake("minimum.schedule", set_dag(schedule="None")),
    "schedule_on_the_31st": Mistake("minimum.schedule", set_dag(schedule="0 0 31 * *")),
    "start_too_late": Mistake("minimum.schedule", set_dag(start_date="2024-02-01T00:00:00Z")),
    "no_start": Mistake("minimum.schedule", set_dag(start_date=None)),
    "catchup": Mistake("minimum.schedule", set_dag(catchup=True), trap="catchup-on"),
    "no_tag": Mistake("minimum.schedule", set_dag(tags=[])),
    "nothing_set": Mistake(
        "minimum.schedule",
        set_dag(schedule="None", start_date="2026-01-01T00:00:00Z", catchup=True, tags=[]),
        trap="catchup-on",
    ),
    # minimum.task-order
    "no_task": Mistake("minimum.task-order", set_dag(tasks={})),
    "task_missing": Mistake("minimum.task-order", without_task),
    "no_order": Mistake("minimum.task-order", downstream(ingest_taxi_month=[], dbt_run=[])),
    "order_turned_round": Mistake(
        "minimum.task-order", downstream(ingest_taxi_month=[], dbt_run=["ingest_taxi_month"], dbt_test=["dbt_run"])
    ),
    "tests_beside_models": Mistake(
        "minimum.task-order", downstream(ingest_taxi_month=["dbt_run", "dbt_test"], dbt_run=[])
    ),
    # minimum.run-green
    "january_failed": Mistake("minimum.run-green", january(LOG)),
    "january_failed_in_dbt": Mistake("minimum.run-green", january(LOG, "dbt_run")),
    "january_task_skipped": Mistake(
        "minimum.run-green", runs("january", lambda runs: runs[0]["tasks"][1].update(state="skipped"))
    ),
    "january_hangs": Mistake("minimum.run-green", hanging("january"), "waits, or hangs"),
    "january_refused": Mistake("minimum.run-green", refused("january", "no value for the parameter month.")),
    "no_connection": Mistake(
        "minimum.run-green",
        january("AirflowNotFoundException: The conn_id `azure_pg` isn't defined"),
        trap="missing-connection",
    ),
    "delete_before_create": Mistake(
        "minimum.run-green",
        january('UndefinedTable: relation "airflow_ada.raw_trips" does not exist'),
        trap="delete-before-create",
    ),
    "dbt_not_found": Mistake(
        "minimum.run-green",
        january("/usr/bin/bash: line 1: dbt: command not found\nBash command failed. exit code 127", "dbt_run"),
        trap="env-without-append",
    ),
    "dbt_deps_missing": Mistake(
        "minimum.run-green",
        january("dbt found 1 package(s) specified in packages.yml, but only 0 package(s) installed", "dbt_run"),
        trap="dbt-deps-missing",
    ),
    "path_through_xcom": Mistake(
        "minimum.run-green",
        january("FileNotFoundError: [Errno 2] No such file or directory: '/tmp/green.parquet'"),
        trap="path-through-xcom",
    ),
    "shadowed_context": Mistake(
        "minimum.run-green",
        january("ValueError: The key 'ds' in args is a part of kwargs and therefore reserved."),
        trap="shadowed-context",
    ),
    "retries_hide_a_bug": Mistake(
        "minimum.run-green", january("NameError: name 'mnoth' is not defined"), trap="retries-hide-a-bug"
    ),
    "too_many_connections": Mistake(
        "minimum.run-green", january("FATAL: sorry, too many clients already"), trap="too-many-connections"
    ),
    "january_of_now": Mistake(
        "minimum.run-green", then(january(LOG), asked("january", request(NOW, 403))), trap="now"
    ),
    "january_of_march": Mistake(
        "minimum.run-green", asked("january", request("2024-03")), trap="hard-coded-month"
    ),
    "nothing_fetched": Mistake("minimum.run-green", asked("january"), trap="source-not-asked"),
    "january_only_looked_at": Mistake(
        "minimum.run-green", asked("january", request("2024-01", method="HEAD")), trap="source-not-asked"
    ),
    "raw_trips_missing": Mistake("minimum.run-green", holds(None, only("january"), "raw_trips"), "another schema"),
    "raw_trips_with_a_row_too_few": Mistake(
        "minimum.run-green", holds({"2024-01": IN_MONTH["2024-01"] - 1}, only("january"))
    ),
    "raw_trips_twice": Mistake("minimum.run-green", holds({"2024-01": 2 * IN_MONTH["2024-01"]}, only("january"))),
    "fct_trips_missing": Mistake("minimum.run-green", holds(None, only("january"), "fct_trips"), "PG_SCHEMA"),
    "fct_trips_empty": Mistake("minimum.run-green", holds({}, only("january"), "fct_trips"), "PG_SCHEMA"),
    "fct_trips_by_the_ingest": Mistake(
        "minimum.run-green", dbt_by("psycopg"), trap="another-writer-of-fct-trips"
    ),
    # minimum.logical-date
    "other_month_failed": Mistake("minimum.logical-date", fails("other_month", LOG)),
    "other_month_of_now": Mistake(
        "minimum.logical-date",
        then(asked("other_month", request(NOW)), holds(JANUARY | {NOW: 99}, only("other_month"))),
        trap="now",
    ),
    "other_month_of_january": Mistake(
        "minimum.logical-date",
        then(asked("other_month", request("2024-01")), holds(JANUARY, only("other_month"))),
        trap="hard-coded-month",
    ),
    "other_month_replaced_january": Mistake(
        "minimum.logical-date", holds({OTHER: IN_MONTH[OTHER]}, only("other_month")), trap="replace-table"
    ),
    "other_month_took_a_row_of_january": Mistake(
        "minimum.logical-date",
        holds({"2024-01": IN_MONTH["2024-01"] - 1, OTHER: IN_MONTH[OTHER]}, only("other_month")),
    ),
    "other_month_lacks_a_row": Mistake(
        "minimum.logical-date", holds(JANUARY | {OTHER: IN_MONTH[OTHER] - 1}, only("other_month"))
    ),
    "later_months_taken": Mistake("minimum.logical-date", holds(JANUARY, only("failing_tests")), "reaches beyond"),
    # minimum.retries
    "no_retries": Mistake(
        "minimum.retries",
        then(set_task("ingest_taxi_month", retries=0.0), fails("busy_source", LOG)),
        trap="no-retries",
    ),
    "no_retries_and_green": Mistake(
        "minimum.retries", set_task("ingest_taxi_month", retries=0.0), trap="no-retries"
    ),
    "one_retry": Mistake(
        "minimum.retries",
        then(set_task("ingest_taxi_month", retries=1.0), fails("busy_source", LOG)),
        trap="no-retries",
    ),
    "retries_at_once": Mistake("minimum.retries", set_task("ingest_taxi_month", retry_delay=0), trap="no-delay"),
    "busy_and_green_without_the_file": Mistake(
        "minimum.retries",
        then(
            asked("busy_source", request("2024-04", 503)),
            runs("busy_source", lambda runs: runs[0]["tasks"][0].update(try_number=1, tries=1)),
        ),
        "caught and not raised again",
    ),
    "busy_and_another_month_at_the_next_try": Mistake(
        "minimum.retries", asked("busy_source", request("2024-04", 503), request("2024-03", 200)), "at each try"
    ),
    "busy_page_as_parquet": Mistake(
        "minimum.retries",
        fails("busy_source", "pyarrow.lib.ArrowInvalid: Parquet magic bytes not found in footer."),
        trap="error-page-as-parquet",
    ),
    # minimum.failure-gate
    "unpublished_hidden": Mistake("minimum.failure-gate", hidden("unpublished"), trap="hidden-failure"),
    "damaged_hidden": Mistake("minimum.failure-gate", hidden("damaged"), trap="hidden-failure"),
    "unpublished_skipped": Mistake(
        "minimum.failure-gate", hidden("unpublished", "skipped"), trap="skip-for-failure"
    ),
    "dbt_after_a_failed_load": Mistake(
        "minimum.failure-gate",
        then(
            set_task("dbt_run", trigger_rule="all_done"),
            runs("unpublished", lambda runs: runs[0]["tasks"][1].update(state="failed", start=BEGIN.isoformat())),
        ),
        trap="trigger-rule",
    ),
    "green_by_trigger_rule": Mistake(
        "minimum.failure-gate",
        then(
            set_task("dbt_run", trigger_rule="all_done"),
            runs("unpublished", lambda runs: runs[0].update(state="success")),
            runs(
                "unpublished",
                lambda runs: [one.update(state="success", start=BEGIN.isoformat()) for one in runs[0]["tasks"][1:]],
            ),
            notified("unpublished", 0),
        ),
        trap="trigger-rule",
    ),
    "damaged_and_loaded": Mistake(
        "minimum.failure-gate",
        lambda evidence: evidence["damaged"].update(tables=tables(JANUARY | {OTHER: IN_MONTH[OTHER], "2024-02": 700})),
        trap="error-page-loaded",
    ),
    "failing_tests_hidden": Mistake(
        "minimum.failure-gate", hidden("failing_tests", task="dbt_test"), trap="hidden-failure"
    ),
    "unpublished_hangs": Mistake(
        "minimum.failure-gate", then(hanging("unpublished"), notified("unpublished", 0)), "waits"
    ),
    # minimum.runbook
    "no_runbook": Mistake("minimum.runbook", files(**{"RUNBOOK.md": None}), "%%writefile RUNBOOK.md"),
    "runbook_not_written": Mistake(
        "minimum.runbook",
        files(
            **{
                "RUNBOOK.md": "# R\n\n"
                + "".join(f"## {name}\n\nraise NotImplementedError()  # YOUR WORK: put it in place of this line\n\n"
                          for name in ("Trigger a run", "Backfill", "Logs", "Likely failures"))
            }
        ),
        "in place of raise NotImplementedError()",
    ),
    "runbook_without_logs": Mistake(
        "minimum.runbook", files(**{"RUNBOOK.md": RUNBOOK.replace("## Logs", "## See")})
    ),
    "runbook_of_two_failures": Mistake(
        "minimum.runbook",
        files(**{"RUNBOOK.md": RUNBOOK.replace(" A failed dbt test: read which, and tell the owner.", "")}),
    ),
    "runbook_pauses_the_dag": Mistake(
        "minimum.runbook", runbook("backfill", paused=True), trap="paused-backfill"
    ),
    "runbook_without_a_command": Mistake(
        "minimum.runbook", runbook("trigger", command=None, code=None, output="", runs=0), "line of its own"
    ),
    "runbook_command_fails": Mistake(
        "minimum.runbook", runbook("backfill", code=2, output="error: --to-date is required", runs=0, dates=[])
    ),
    "runbook_trigger_of_another_dag": Mistake(
        "minimum.runbook", runbook("trigger", code=1, output="Dag taxi not found", runs=0)
    ),
    "runbook_backfill_of_six": Mistake(
        "minimum.runbook", runbook("backfill", runs=6, dates=[f"{month}-01T00:00:00Z" for month in list(IN_MONTH)[:6]])
    ),
    # target.backfill-runs
    "six_of_seven_green": Mistake("target.backfill-runs", fails("backfill", LOG, "dbt_test", place=4)),
    "june_hangs": Mistake("target.backfill-runs", hanging("backfill", 5), "waits, or hangs"),
    "three_runs": Mistake("target.backfill-runs", quarterly),
    "backfill_refused": Mistake("target.backfill-runs", refused("backfill", "another one is running.")),
    "paused_backfill": Mistake(
        "target.backfill-runs",
        runs(
            "backfill",
            lambda runs: [
                one.update(state="queued", tasks=[task | {"state": None, "start": None} for task in one["tasks"]])
                for one in runs
            ],
        ),
        trap="paused-backfill",
    ),
    "parallel_dbt": Mistake(
        "target.backfill-runs",
        fails("backfill", 'relation "fct_trips__dbt_backup" already exists', "dbt_run", place=2),
        trap="parallel-dbt",
    ),
    "one_month_fetched_seven_times": Mistake(
        "target.backfill-runs", asked("backfill", *[request("2024-01")] * 7), trap="hard-coded-month"
    ),
    "now_fetched_seven_times": Mistake(
        "target.backfill-runs", asked("backfill", *[request(NOW)] * 7), trap="now"
    ),
    "june_never_fetched": Mistake(
        "target.backfill-runs", asked("backfill", *EVERY_MONTH[:5], EVERY_MONTH[6]), trap="source-not-asked"
    ),
    # target.backfill-rows
    "strays_loaded": Mistake("target.backfill-rows", holds(WITH_STRAYS), trap="whole-file"),
    "strays_loaded_and_some_deleted": Mistake(
        "target.backfill-rows",
        holds(IN_MONTH | {"2023-11": 3, "2024-01": IN_MONTH["2024-01"] + 2}),
        trap="whole-file",
    ),
    "only_the_last_month": Mistake("target.backfill-rows", holds(ONLY_JULY), trap="replace-table"),
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
    # target.idempotent
    "second_backfill_failed": Mistake("target.idempotent", fails("backfill_again", LOG)),
    "second_backfill_hangs": Mistake("target.idempotent", hanging("backfill_again", 6), "waits, or hangs"),
    "rows_doubled": Mistake(
        "target.idempotent",
        holds({month: 2 * rows for month, rows in IN_MONTH.items()}, only("backfill_again", "cut_load")),
        trap="blind-append",
    ),
    "strays_added": Mistake(
        "target.idempotent", holds(WITH_STRAYS, only("backfill_again", "cut_load")), trap="whole-file"
    ),
    "rows_moved_to_another_month": Mistake(
        "target.idempotent",
        holds(
            IN_MONTH | {"2024-01": IN_MONTH["2024-02"], "2024-02": IN_MONTH["2024-01"]},
            only("backfill_again", "cut_load"),
        ),
    ),
    "rows_lost_the_second_time": Mistake(
        "target.idempotent", holds(ONLY_JULY, only("backfill_again", "cut_load"))
    ),
    "table_gone_the_second_time": Mistake(
        "target.idempotent", holds(None, only("backfill_again", "cut_load"), "fct_trips")
    ),
    "same_count_other_content": Mistake("target.idempotent", other_content, "what differs each time"),
    # target.manual-run
    "manual_without_ds": Mistake("target.manual-run", fails("manual_run", "KeyError: 'ds'"), trap="no-logical-date"),
    "manual_with_an_undefined_template": Mistake(
        "target.manual-run",
        fails("manual_run", "jinja2.exceptions.UndefinedError: 'ds' is undefined", "dbt_run"),
        trap="no-logical-date",
    ),
    "manual_of_none": Mistake(
        "target.manual-run",
        fails("manual_run", "AttributeError: 'NoneType' object has no attribute 'strftime'"),
        trap="no-logical-date",
    ),
    "manual_failed": Mistake("target.manual-run", fails("manual_run", LOG)),
    # target.report
    "no_report": Mistake("target.report", files(**{"ASSIGNMENT_REPORT.md": None}), "%%writefile"),
    "report_not_written": Mistake(
        "target.report",
        files(**{"ASSIGNMENT_REPORT.md": "# Report\n\nraise NotImplementedError()  # YOUR WORK\n"}),
        "in place of raise NotImplementedError()",
    ),
    "report_lacks_a_month": Mistake(
        "target.report", files(**{"ASSIGNMENT_REPORT.md": REPORT.replace("2024-03", "March")})
    ),
    "report_of_another": Mistake(
        "target.report", files(**{"ASSIGNMENT_REPORT.md": REPORT.replace("1,", "7,")}), "AIRFLOW_STUDENT"
    ),
    "report_of_a_change": Mistake(
        "target.report",
        files(**{"ASSIGNMENT_REPORT.md": REPORT.replace(f"| {PRACTISED['2024-01']:,} |\n", "| 4,000 |\n")}),
        "not idempotent",
    ),
    # target.shared-deploy
    "same_dag_id": Mistake("target.shared-deploy", dag_called("taxi_pipeline"), trap="same-dag-id"),
    "other_shared_dag_id": Mistake("target.shared-deploy", dag_called("taxi_of_ada")),
    "shared_import_error": Mistake("target.shared-deploy", dag_called(None)),
    "no_student_tag": Mistake(
        "target.shared-deploy",
        lambda evidence: evidence["shared"]["parsed"]["dags"]["ada_taxi_pipeline"].update(tags=["taxi"]),
    ),
    "shared_run_failed": Mistake("target.shared-deploy", fails("shared", LOG)),
    "shared_default_schema": Mistake(
        "target.shared-deploy",
        shared(tables={"raw_trips": None, "fct_trips": None}, default_schema=tables({"2024-06": 5})),
        trap="student-unset",
    ),
    "shared_default_schema_as_well": Mistake(
        "target.shared-deploy", shared(default_schema=tables({"2024-06": 5})), trap="student-unset"
    ),
    "shared_classmates_rows": Mistake(
        "target.shared-deploy",
        lambda evidence: evidence["shared"]["others_after"]["airflow_grace"].update(raw_trips=table({"2024-06": 9})),
    ),
    "shared_nowhere": Mistake("target.shared-deploy", shared(tables={"raw_trips": None, "fct_trips": None})),
    # stretch.atomic-load
    "cut_but_green": Mistake("stretch.atomic-load", cut_but_green, "caught and not raised again"),
    "cut_lost_the_month": Mistake("stretch.atomic-load", half_loaded(0), trap="delete-and-load-apart"),
    "cut_left_half_a_month": Mistake("stretch.atomic-load", half_loaded(149), trap="delete-and-load-apart"),
    "cut_lost_the_table": Mistake(
        "stretch.atomic-load",
        lambda evidence: evidence["cut_load"]["tables"].update(raw_trips=None),
        trap="delete-and-load-apart",
    ),
    "cut_and_hanging": Mistake("stretch.atomic-load", hanging("cut_load"), "waits, or hangs"),
    # stretch.notify
    "told_nobody": Mistake(
        "stretch.notify", then(*(notified(one, 0) for one in ("unpublished", "damaged", "failing_tests")))
    ),
    "told_of_each_try": Mistake("stretch.notify", notified("busy_source", 2), trap="a-callback-for-each-task"),
    "told_three_times": Mistake("stretch.notify", notified("unpublished", 3), trap="a-callback-for-each-task"),
    "told_of_a_green_run": Mistake("stretch.notify", notified("january", 1)),
    # stretch.own-tests
    "no_tests": Mistake("stretch.own-tests", lambda evidence: evidence.update(own_tests=None), "%%writefile"),
    "tests_fail": Mistake("stretch.own-tests", tested(code=1, failed=2, output="2 failed, 7 passed")),
    "tests_hang": Mistake("stretch.own-tests", tested(code=None, passed=0, output="")),
    "no_test_collected": Mistake("stretch.own-tests", tested(code=5, passed=0, output="no tests ran")),
    "get_dag_in_tests": Mistake(
        "stretch.own-tests",
        tested(code=1, errors=3, output="dag_bag.get_dag('taxi_pipeline')\nE OperationalError: no such table: dag"),
        trap="get-dag-in-tests",
    ),
    "tests_find_nothing": Mistake(
        "stretch.own-tests",
        lambda evidence: [one.update(code=0, failed=0) for one in list(evidence["own_tests"]["bugs"].values())[:3]],
        "A test says what must hold",
    ),
}  # fmt: skip
"""Each loses one check alone; those that build on it wait."""

SEVERAL: dict[str, tuple[str, Change, str | None]] = {
    "no_schedule_no_run": (
        "target.backfill-runs",
        then(refused("backfill", "No runs to create for Dag taxi_pipeline."), set_dag(schedule="None")),
        "minimum.schedule",
    ),
    "daily_runs": ("target.backfill-runs", then(quarterly, set_dag(schedule="0 0 * * *")), "each day"),
    "quarterly": ("target.backfill-runs", then(quarterly, set_dag(schedule="0 0 1 */3 *")), "minimum.schedule"),
    "raw_trips_gone_after_the_backfill": ("target.backfill-rows", holds(None, table_name="raw_trips"), None),
    "raw_trips_gone_twice": ("target.idempotent", holds(None, table_name="raw_trips"), None),
    "raw_trips_empty": ("target.backfill-rows", holds({}, table_name="raw_trips"), None),
    "raw_trips_empty_twice": ("target.idempotent", holds({}, table_name="raw_trips"), None),
    "no_run_failed": (
        "stretch.notify",
        then(*(hidden(one, task="dbt_test") for one in ("unpublished", "damaged", "failing_tests"))),
        None,
    ),
}
"""A check that is lost together with another, and part of the cause that is recognised."""

OUR_FAULT: dict[str, tuple[str, Change]] = {
    "second_backfill_refused": ("target.idempotent", refused("backfill_again", "another is running.")),
    "second_backfill_not_run": (
        "target.idempotent",
        lambda evidence: evidence["backfill_again"].update(runs=evidence["backfill"]["runs"]),
    ),
    "cut_load_refused": ("stretch.atomic-load", refused("cut_load", "another is running.", runs_left=True)),
    "load_that_cannot_be_cut": ("stretch.atomic-load", lambda evidence: evidence["cut_load"].update(cut_at=None)),
    "busy_source_refused": ("minimum.retries", refused("busy_source", "the API does not answer.")),
    "manual_run_refused": ("target.manual-run", refused("manual_run", "the API does not answer.")),
    "damaged_refused": ("minimum.failure-gate", refused("damaged", "the API does not answer.")),
}

ALTERNATIVES: dict[str, Change] = {
    "midnight in New York": set_dag(start_date="2024-01-01T05:00:00Z"),
    "an earlier start": set_dag(start_date="2019-07-01T00:00:00Z"),
    "another day and time": set_dag(schedule="30 6 2 * *"),
    "the last day of the month": set_dag(schedule="0 0 L * *"),
    "one tag of one's own": set_dag(tags=["mine"]),
    "a task between": lambda evidence: dag(evidence)["tasks"].update(
        ingest_taxi_month=dag(evidence)["tasks"]["ingest_taxi_month"] | {"downstream": ["count"]},
        count={"downstream": ["dbt_run"]},
    ),
    "an order that is also said directly": downstream(ingest_taxi_month=["dbt_run", "dbt_test"]),
    "tasks of other names beside": lambda evidence: dag(evidence)["tasks"].update(notify={"downstream": []}),
    "another DAG beside": lambda evidence: evidence["parsed"]["dags"].update(other=dag(evidence)),
    "another file that is broken": lambda evidence: evidence["parsed"]["import_errors"].append(
        {"file": "notes.py", "text": TRACE}
    ),
    "ranges of the file": asked("backfill", *[request(month, status=206) for month in IN_MONTH]),
    "every file fetched twice": asked("backfill", *[request(month) for month in IN_MONTH for _ in range(2)]),
    "a try that failed before": runs("backfill", lambda runs: runs[2]["tasks"][0].update(try_number=3, tries=3)),
    "rows of other months, which Target judges": holds(
        {"2024-01": IN_MONTH["2024-01"] + 2, "2023-12": 3, OTHER: IN_MONTH[OTHER] + 1}, only("other_month")
    ),
    "a table that is made before the failure": then(
        *(
            lambda evidence, one=one: evidence[one].update(
                before={"raw_trips": None, "fct_trips": None}, tables={"raw_trips": table({}), "fct_trips": None}
            )
            for one in ("unpublished", "damaged")
        )
    ),
    "a load that refuses what dbt would find": lambda evidence: fail(
        evidence["failing_tests"]["runs"][0], "ingest_taxi_month", LOG
    ),
    "a retry by the task's own code as well": runs(
        "busy_source", lambda runs: runs[0]["tasks"][0].update(try_number=1, tries=1)
    ),
    "a report in bold, without commas": files(
        **{
            "ASSIGNMENT_REPORT.md": "".join(
                f"|**{month}**| {rows}.0 | `{rows}` |\n" for month, rows in PRACTISED.items()
            )
        }
    ),
    "a runbook with other headings": files(
        **{
            "RUNBOOK.md": RUNBOOK.replace("## Logs", "### 3. Where the logs are").replace(
                "## Likely", "## Three likely"
            )
        }
    ),
    "tests that cannot be collected on a broken version": lambda evidence: evidence["own_tests"]["bugs"][
        "bug_1"
    ].update(code=2, errors=1),
}
"""What may be done otherwise, and is right."""


def spoilt(change: Change) -> Evidence:
    evidence = perfect()
    change(evidence)
    return evidence
