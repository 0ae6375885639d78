"""Checkers of chapter 08, Deploying to shared Airflow."""

from collections.abc import Callable
from typing import Any

from autograder.exercises import as_given, checks
from autograder.teaching.class_repository import CLONE, git, reviewers
from autograder.teaching.shared_airflow import SharedAirflow


@checks("08.1")
def the_rule(problems: Callable[[str, str, list[str]], Any]) -> str:
    """Count the problems of DAGs that keep the rule, and of such as don't."""
    given = as_given(problems, Callable, "problems")  # type: ignore[arg-type]
    for folder, dag_id, tags, wanted, why in (
        ("ada", "ada_hello", ["student:ada", "taxi"], 0, "Both rules hold."),
        ("ada", "hello", ["student:ada"], 1, "The dag_id does not begin with the folder's name."),
        ("ada", "ada_hello", ["taxi"], 1, "No tag names the student."),
        ("ada", "adam_hello", ["student:ada"], 1, "adam_hello is Adam's, though it begins with the letters of ada."),
        ("ada", "ada_hello", ["student:adam"], 1, "The tag names another student."),
        ("grace", "hello", [], 2, "Neither rule holds."),
    ):
        returned = given(folder, dag_id, tags)
        call = f"problems({folder!r}, {dag_id!r}, {tags!r})"
        assert isinstance(returned, list), f"{call} returned {returned!r}, which is no list."
        assert len(returned) == wanted, f"{call} returned {returned!r}: {len(returned)} texts, not {wanted}. {why}"
    return "It tells ada from adam, and says everything that is wrong at once."


@checks("08.2")
def who_is_asked(asked: dict[str, Any]) -> str:
    """Compare with what the repository's CODEOWNERS says."""
    owners = git("show", "origin/main:CODEOWNERS", folder=CLONE)
    for file in ("dags/grace/zones.py", "include/dbt_project/dbt_project.yml"):
        names = as_given(asked.get(file), set, f'asked["{file}"]')
        wanted = set(reviewers(owners, file))
        assert names == wanted, (
            f"{file}: you wrote {', '.join(sorted(map(str, names))) or 'nobody'}. "
            f"{len(names - wanted)} of the names may not approve it, and {len(wanted - names)} who may are missing."
        )
    return "In a student's folder that student or the teacher may approve; what is everybody's is the teacher's."


@checks("08.3")
def deployed(shared: SharedAirflow, me: str) -> str:
    """Look for the DAG on the shared Airflow, read from main, with a green run that the student triggered."""
    dag_id = f"{me}_hello"
    dag = shared.api.dag(dag_id)
    missing = f"The shared Airflow has no DAG {dag_id}. Is its file in dags/{me}/, and is the pull request merged?"
    assert dag, missing
    assert not dag["is_stale"], missing
    file = dag["relative_fileloc"]
    assert file == f"dags/{me}/hello.py", f"{dag_id} comes from {file}, not from dags/{me}/hello.py."
    tags = sorted(tag["name"] for tag in dag["tags"])
    assert f"student:{me}" in tags, f"{dag_id} has the tags {', '.join(tags)}, and none says student:{me}."
    runs = shared.api.runs(dag_id)
    assert runs, f"{dag_id} is there, and has no run yet. Trigger one as {me}."
    green = [run for run in runs if run["state"] == "success" and run["triggering_user_name"] == me]
    states = ", ".join(f"{run['state']}, triggered by {run['triggering_user_name']}" for run in runs)
    assert green, f"{dag_id} has no green run that {me} triggered, but: {states}."
    return f"Commit {dag['bundle_version'][:7]} has it, and your run of it is green."
