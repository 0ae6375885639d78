"""Checkers of chapter 07, Monitoring and debugging."""

import re
from pathlib import Path
from typing import Any

from autograder.airflow_api import AirflowApi
from autograder.checks.documents import sections, words
from autograder.exercises import as_given, checks
from autograder.exercises.facts import tasks
from autograder.observe.runbook import commands

CAUSES = {"case_1": "b", "case_2": "c", "case_3": "d", "case_4": "e", "case_5": "f"}

EVIDENCE = {
    "case_1": "the end of the log, and what stands in the rendered env",
    "case_2": "the end of the log, and the column logical_date of its run",
    "case_3": "the first failed task, and the last lines of its log",
    "case_4": "all lines of the log, and not the state alone",
    "case_5": "the state of its task, and the list of pools",
}

RUNBOOK = Path("work/RUNBOOK.md")
SECTIONS = {"Trigger a run": "trigger", "Logs": "log", "Likely failures": "fail"}
FEWEST_WORDS = 5
FAILURES = 3


@checks("07.1")
def five_diagnoses(diagnosis: dict[str, str | None]) -> str:
    """Compare each diagnosis, once its DAG has run."""
    given = as_given(diagnosis, dict, "diagnosis")
    open_cases = [case for case in CAUSES if not given.get(case)]
    assert not open_cases, f"Not diagnosed yet: {', '.join(open_cases)}."
    for case in CAUSES:
        assert AirflowApi.from_environment().runs(case), f"{case} has not run yet. Run its cells first."
    wrong = [case for case, cause in CAUSES.items() if str(given[case]).strip().lower() != cause]
    told = "; ".join(f"{case}, look once more at {EVIDENCE[case]}" for case in wrong)
    assert not wrong, f"{len(CAUSES) - len(wrong)} of {len(CAUSES)} are right. {told}."
    return (
        "All five. Case 1 needs append_env=True. Case 2 needs a logical date, or a template that does without. Case 3 "
        "makes its table first. Case 4 lets the error out. Case 5 needs `airflow pools set night_loads 1 nightly`."
    )


@checks("07.2")
def retry_what_passes() -> str:
    """Look at the tries of the runs of May, which got 403, and June, which got 503 once."""
    assert tasks("exercise_07_2")["fetch"]["retries"] >= 1, "fetch has no retries any more. The 503 needs one."
    may, june = _fetch("2024-05"), _fetch("2024-06")
    assert may["state"] == "failed", f"With 403 there is no file, but fetch of 2024-05 is {may['state']}. Let it fail."
    assert may["tries"] == 1, f"The 403 of 2024-05 was tried {may['tries']} times. Once is enough."
    assert june["state"] == "success", (
        f"fetch of 2024-06 is {june['state']} after {june['tries']} tries. A 503 passes: let raise_for_status() "
        "deal with it."
    )
    assert june["tries"] == 2, (
        f"fetch of 2024-06 had {june['tries']} tries. Run the cell with source_fault again, so that the source is "
        "busy once."
    )
    return "The 403 failed at the first try. The 503 was tried again, and the second try got the file."


def _fetch(month: str) -> dict[str, Any]:
    """Return the state of fetch in a month's run, and how many tries it had since the run was last cleared."""
    api = AirflowApi.from_environment()
    found = [run for run in api.runs("exercise_07_2") if (run["logical_date"] or "").startswith(month)]
    assert found, f"exercise_07_2 has no run of {month} yet. Run the cell with run_dag."
    fetch = api.task_instances("exercise_07_2", found[-1]["dag_run_id"])[0]
    since = found[-1]["start_date"] or ""
    tries = [one for one in api.tries(fetch) if (one["start_date"] or "") >= since]
    return {"state": fetch["state"], "tries": len(tries)}


@checks("07.3")
def a_runbook() -> str:
    """Look for the sections, a whole command, and three failures."""
    assert RUNBOOK.is_file(), f"There is no {RUNBOOK} yet. Run the cell that writes it."
    text = RUNBOOK.read_text(encoding="utf-8")
    found = sections(text, SECTIONS)
    for name in SECTIONS:
        assert words(found.get(name, "")) >= FEWEST_WORDS, f"The section {name!r} is not written yet."
    command = commands(text)["trigger"]
    assert command, "There is no `airflow dags trigger …`. Write the whole command on a line of its own."
    assert re.search(r"\bbusy_source\b", command), f"`{command}` does not name busy_source."
    assert re.search(r"(--logical-date|-l)[ =]\d{4}-\d{2}-\d{2}", command), (
        f"`{command}` has no logical date that can be typed as it stands, and without one busy_source fails."
    )
    rows = [line for line in found["Likely failures"].splitlines() if line.strip().startswith("|")]
    written = [row for row in rows[2:] if words(row) >= FEWEST_WORDS]
    assert len(written) >= FAILURES, f"The table of likely failures has {len(written)} of {FAILURES} lines."
    return "Now give it to somebody, and watch where they stop."
