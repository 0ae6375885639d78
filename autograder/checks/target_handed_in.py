"""The checks of the Target tier beside the backfill: the report, and the copy on the shared Airflow."""

from autograder.checks.documents import NOT_WRITTEN, month_rows
from autograder.checks.facts import content, green, rows
from autograder.checks.rules import DAG_ID, TABLES, Evidence, Finding, check
from autograder.checks.texts import first_log, months_table, number, out_of_time, rows_table, states_table

REPORT = "ASSIGNMENT_REPORT.md"


@check("target.report")
def report(evidence: Evidence) -> Finding:
    """Look for this student's own row counts, before and after, in the report's table."""
    text = evidence["files"][REPORT]
    expected = (
        "a line for each of the seven months: | 2024-01 | rows after the first backfill | rows after the second |"
    )
    if text is None:
        cause = f"Run the cell that begins with %%writefile {REPORT}."
        return Finding(False, "There is no report.", expected, "no such file", cause, REPORT)
    practised, told = evidence["practice"], month_rows(text)
    if lacking := [month for month in sorted(practised) if len(told.get(month, [])) < 2]:
        seen = "\n".join(f"{month}: {number(len(told.get(month, [])), 'number')}" for month in sorted(practised))
        why = f"Put the lines in place of {NOT_WRITTEN}." if NOT_WRITTEN in text and not told else None
        message = f"The report's table lacks two numbers for {', '.join(lacking)}."
        return Finding(False, message, expected, seen, why, REPORT)
    seen = "\n".join(f"{month} {told[month][0]:,} {told[month][1]:,}" for month in sorted(practised))
    # What is right is not told: the numbers are the student's to count.
    expected = (
        f"the rows of each month that airflow_{evidence['student']}.raw_trips has on {evidence['student']}'s own data"
    )
    if wrong := [month for month in sorted(practised) if told[month][0] != told[month][1]]:
        message = f"Before and after differ in {', '.join(wrong)}."
        cause = "A second backfill that changes the rows is not idempotent: see target.idempotent."
        return Finding(False, message, "the same rows before and after", seen, cause, REPORT)
    if wrong := [month for month in sorted(practised) if told[month][0] != practised[month]]:
        message = f"The rows of {', '.join(wrong)} are not those of your own data."
        cause = (
            "They are those of another student's months, or of whole files with the trips of other months in them, or "
            "AIRFLOW_STUDENT was not your name when you ran the backfill."
        )
        return Finding(False, message, expected, seen, cause, REPORT)
    return Finding(True, "The report's rows before and after are those of your own data.", where=REPORT)


@check("target.shared-deploy", needs=("minimum.run-green",))
def shared_deploy(evidence: Evidence) -> Finding:
    """Look for the student's DAG, green, in its own name and schema, beside classmates' that stay as they were."""
    shared, student = evidence["shared"], evidence["student"]
    wanted = f"{student}_{DAG_ID}"
    where = f"dags/{student}/{DAG_ID}.py, on an Airflow without AIRFLOW_STUDENT"
    expected = f"a DAG {wanted}, tagged student:{student}, that writes to airflow_{student}"
    dag_id = shared["dag_id"]
    errors = [error["text"].strip() for error in shared["parsed"]["import_errors"]]
    if dag_id is None:
        log = f"The import of your file:\n{errors[0]}" if errors else ""
        seen = errors[0].splitlines()[-1] if errors else "no DAG"
        return Finding(False, "The shared Airflow finds no DAG of yours.", expected, seen, None, where, log)
    if dag_id != wanted:
        return Finding(False, f"On the shared Airflow your DAG is called {dag_id}.", expected, dag_id, None, where)
    tags = shared["parsed"]["dags"][dag_id]["tags"]
    if f"student:{student}" not in tags:
        message = "The DAG has not the tag that says whose it is."
        return Finding(False, message, f"student:{student}", ", ".join(tags) or "no tag", None, where)
    runs = shared["runs"]
    if not runs or not all(green(run) for run in runs):
        return Finding(
            False, "Your run on the shared Airflow did not end green.", f"{dag_id} success",
            states_table(runs) or shared["refused"] or "no run", out_of_time(shared), where, first_log(shared),
        )  # fmt: skip
    for schema, before in shared["others_before"].items():
        after = shared["others_after"].get(schema)
        if changed := [table for table in TABLES if content(after, table) != content(before, table)]:
            table = changed[0]
            return Finding(
                False, f"Your run changed {schema}.{table}, which is a classmate's.", rows_table(before[table]),
                rows_table((after or {}).get(table)), None, where,
            )  # fmt: skip
    month = shared["month"]
    own = {table: rows(shared["tables"][table], month) for table in TABLES}
    if any(count < evidence["source"][month]["in_month"] for count in own.values()):
        return Finding(
            False, f"Your run is green, but its trips are not in airflow_{student}.",
            months_table({month: evidence["source"][month]["in_month"]}),
            "\n".join(f"airflow_{student}.{table}: {rows_table(shared['tables'][table])}" for table in TABLES),
            None, where,
        )  # fmt: skip
    if any(shared["default_schema"][table] for table in TABLES):
        message = "Your run wrote to airflow_default, which is nobody's."
        seen = "\n".join(f"airflow_default.{name}" for name in TABLES if shared["default_schema"][name])
        return Finding(False, message, "nothing in airflow_default", seen, None, where)
    return Finding(True, f"{dag_id} is green on the shared Airflow, in its own schema, and others' are untouched.")
