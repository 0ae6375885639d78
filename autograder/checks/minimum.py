"""The checks of the Minimum tier that look at what was written: the DAG as Airflow parsed it, and the runbook.

What its runs do is looked at in minimum_runs.
"""

import re
from datetime import UTC, datetime
from itertools import pairwise

from autograder.checks.documents import NOT_WRITTEN, entries, sections, words
from autograder.checks.facts import dag, task_ids
from autograder.checks.rules import DAG_ID, IMPORT_LIMIT_S, TASKS, Evidence, Finding, check
from autograder.checks.texts import number

TOO_LATE = datetime(2024, 1, 2, tzinfo=UTC)
"""A start date is before this: midnight of 1 January in New York is later than in UTC, and still 1 January."""

MONTHLY = re.compile(r"\d+ \d+ (0?[1-9]|1\d|2[0-8]|L) \* \*")
"""A cron expression for one moment in each month, which is also how Airflow writes `@monthly` back."""

SECTIONS = {"Trigger a run": "trigger", "Backfill": "backfill", "Logs": "log", "Likely failures": "fail"}
"""The runbook's sections, and the word that tells each heading."""

FEWEST_WORDS = 5
"""A section with fewer is not written."""

FEWEST_FAILURES = 3

LOADED = f"a DAG with the dag_id {DAG_ID}, and no import error"


@check("minimum.dag-loads")
def dag_loads(evidence: Evidence) -> Finding:
    """Look for the DAG among those that Airflow imported, and at what importing it took."""
    parsed, dag_id = evidence["parsed"], evidence["dag_id"]
    file = parsed["dags"][dag_id]["file"] if dag_id else f"{DAG_ID}.py"
    # Another file's error is told only where it may be why the DAG is missing.
    errors = [error for error in parsed["import_errors"] if error["file"] == file or not dag_id]
    if errors:
        return _not_imported(min(errors, key=lambda error: bool(error["file"] != file)))
    if not dag_id:
        return _not_found(sorted(parsed["dags"]), evidence["files"]["dags"])
    where = f"dags/{file}, DAG {dag_id}"
    contacts = parsed["contacts"]
    made = {
        ("file of the source", "files of the source"): len(contacts["source"]),
        ("other host", "other hosts"): len(contacts["hosts"]),
        ("session in the warehouse", "sessions in the warehouse"): contacts["warehouse"],
        ("read of a connection or variable", "reads of connections or variables"): contacts["metadata"],
    }
    if any(made.values()):
        return Finding(
            False, "The file does its work while Airflow only reads it.",
            "nothing asked of the source, the warehouse or Airflow's database while the file is imported",
            "\n".join(number(count, *words) for words, count in made.items() if count)
            + "".join(f"\n{name}" for name in [*contacts["source"], *contacts["hosts"]]),
            "What stands outside of a task runs each time that Airflow reads the file, many times an hour. "
            "Put it into a function under @task; a connection belongs into a template or a hook there.",
            where,
        )  # fmt: skip
    if parsed["seconds"] > IMPORT_LIMIT_S:
        return Finding(
            False, f"Importing the file takes {parsed['seconds']:.0f} seconds.",
            f"at most {IMPORT_LIMIT_S:.0f} seconds", f"{parsed['seconds']:.1f} seconds",
            "Something slow stands outside of the tasks: a computation, a wait, or the import of a large package. "
            "Put it into the task that needs it.", where,
        )  # fmt: skip
    return Finding(True, f"dags/{file} loads, and the DAG {dag_id} is in it.", where=where)


def _not_imported(error: dict[str, str]) -> Finding:
    file, text = f"dags/{error['file']}", error["text"].strip()
    last = text.splitlines()[-1] if text else "no text"
    if last.startswith("NotImplementedError"):
        message = f"{file} is not written yet: it still raises NotImplementedError."
        return Finding(False, message, LOADED, last, "Put your code in place of that line.", file)
    if last.startswith(("SyntaxError", "IndentationError", "TabError")):
        # Python shows the line, a caret beneath the place, and the reason.
        line = re.findall(r'File ".*", line (\d+)', text)
        seen = re.split(r'File ".*", line \d+\n', text)[-1]
        message = f"Python cannot read {file}: {last.partition(':')[0]} in line {line[-1] if line else '?'}."
        cause = (
            "Look at the place over the caret (^), and at the line before: a bracket, a quote or a colon is missing."
        )
        return Finding(False, message, LOADED, seen, cause, f"{file}, line {line[-1] if line else '?'}")
    return Finding(
        False,
        f"Airflow cannot import {file}, so the DAG is missing.",
        LOADED,
        last,
        None,
        file,
        f"The import of {file}:\n{text}",
    )


def _not_found(found: list[str], files: list[str]) -> Finding:
    message = f"There is no DAG called {DAG_ID}."
    if found:
        message = f"The DAG is called {' or '.join(found)}, and not {DAG_ID}."
        cause = "A DAG is called what dag_id in @dag(...) says, and without it as the function under @dag."
        return Finding(False, message, LOADED, ", ".join(found), cause, "dags/")
    if not files:
        cause = "The file is not written: run the cell that begins with %%writefile dags/taxi_pipeline.py."
        return Finding(False, "There is no DAG file yet.", LOADED, "no file in dags/", cause, "dags/")
    # Airflow does not even import a file that has not the words "airflow" and "dag" in it, such as the release's.
    cause = "The file is not written yet, or the function under @dag is not called at its end."
    return Finding(False, message, LOADED, f"no DAG in {', '.join(files)}", cause, "dags/")


@check("minimum.schedule", needs=("minimum.dag-loads",))
def schedule(evidence: Evidence) -> Finding:
    """Look for a monthly schedule from January 2024, no catchup, and a tag."""
    settings = dag(evidence)
    wrong = wrong_settings(settings)
    where = f"DAG {evidence['dag_id']}"
    if not any(wrong.values()):
        seen = "\n".join(f"{setting} = {settings[setting]}" for setting in wrong)
        return Finding(True, "The DAG's schedule, start date, catchup and tags are set.", seen=seen, where=where)
    expected = {
        "schedule": "monthly, as @monthly is",
        "start_date": "2024-01-01, or earlier",
        "catchup": "False",
        "tags": "at least one",
    }
    names = [setting for setting, bad in wrong.items() if bad]
    return Finding(
        False,
        f"Not set as it must be: {', '.join(names)}.",
        "\n".join(f"{setting} = {expected[setting]}" for setting in names),
        "\n".join(f"{setting} = {settings[setting]}" for setting in names),
        where=where,
    )


def wrong_settings(settings: Evidence) -> dict[str, bool]:
    """Return whether each setting that is looked at is wrong."""
    start = settings["start_date"]
    return {
        "schedule": not MONTHLY.fullmatch(settings["schedule"] or ""),
        "start_date": start is None or datetime.fromisoformat(start) >= TOO_LATE,
        "catchup": settings["catchup"] is not False,
        "tags": not settings["tags"],
    }


@check("minimum.task-order", needs=("minimum.dag-loads",))
def task_order(evidence: Evidence) -> Finding:
    """Look for the three tasks, each waiting for the one before."""
    tasks = dag(evidence)["tasks"]
    expected, where = " >> ".join(TASKS), f"DAG {evidence['dag_id']}"
    ids = task_ids(tasks)
    if missing := [name for name in TASKS if name not in ids]:
        seen = ", ".join(sorted(tasks)) or "no task"
        return Finding(False, f"The DAG has no task called {' or '.join(missing)}.", expected, seen, where=where)

    def follows(first: str, last: str) -> bool:
        return last == first or any(follows(after, last) for after in tasks[first]["downstream"])

    for first, last in pairwise(TASKS):
        if not follows(ids[first], ids[last]):
            seen = "\n".join(f"{task} >> {', '.join(tasks[task]['downstream']) or 'nothing'}" for task in ids.values())
            return Finding(False, f"{last} does not wait for {first}.", expected, seen, where=where)
    return Finding(True, f"The tasks are in order: {expected}.", where=where)


@check("minimum.runbook", needs=("minimum.dag-loads",))
def runbook(evidence: Evidence) -> Finding:
    """Look for the four sections, and for the runs that the two commands made."""
    text, file = evidence["files"]["RUNBOOK.md"], "RUNBOOK.md"
    expected = ", ".join(SECTIONS)
    if text is None:
        cause = "Run the cell that begins with %%writefile RUNBOOK.md."
        return Finding(False, "There is no runbook.", f"{file}, with {expected}", "no such file", cause, file)
    there = sections(text, SECTIONS)
    written = {name: words(body) for name, body in there.items()}
    if lacking := [name for name in SECTIONS if written.get(name, 0) < FEWEST_WORDS]:
        seen = "\n".join(f"{name}: {_length(written.get(name))}" for name in SECTIONS)
        why = f"Put your text in place of {NOT_WRITTEN}." if NOT_WRITTEN in text else None
        return Finding(False, f"Not written yet: {', '.join(lacking)}.", f"sections {expected}", seen, why, file)
    if (failures := entries(there["Likely failures"])) < FEWEST_FAILURES:
        expected = f"at least {FEWEST_FAILURES} likely failures, each a row, an item or a sentence of its own"
        seen = number(failures, "entry", "entries")
        return Finding(False, "The runbook prepares for too few failures.", expected, seen, None, file)
    months = sorted(evidence["source"])
    done = evidence["runbook"]
    wanted = {
        "trigger": ("airflow dags trigger …", "a run"),
        "backfill": ("airflow backfill create …", f"a run for each month from {months[0]} to {months[-1]}"),
    }
    for name, (form, runs) in wanted.items():
        one = done[name]
        if one["command"] is None:
            cause = "Write the whole command on a line of its own."
            return Finding(False, f"The runbook has no {name} command.", form, "no such command", cause, file)
        expected = f"{one['command']}\nends with code 0, and makes {runs}"
        made = {date[:7] for date in one["dates"]} if name == "backfill" else set()
        if one["code"] != 0 or not one["runs"] or (name == "backfill" and not made.issuperset(months)):
            ended = "did not end" if one["code"] is None else f"ended with code {one['code']}"
            runs_made = number(one["runs"], "run") if one["runs"] else "no run"
            seen = f"{ended}, and made {runs_made}" + (f": {', '.join(sorted(made))}" if made else "")
            log = f"What the command said:\n{one['output']}" if one["output"].strip() else ""
            return Finding(False, f"The {name} command does not work as typed.", expected, seen, None, file, log)
        if one.get("paused"):
            seen = f"{number(one['runs'], 'run')} of a paused DAG: queued, and not begun"
            return Finding(False, f"What the {name} command makes is never run.", expected, seen, None, file)
    return Finding(True, "The four sections are written, and both commands work as typed.", where=file)


def _length(count: int | None) -> str:
    return "no such section" if count is None else number(count, "word")
