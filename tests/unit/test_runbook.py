"""Are the commands of a runbook found as they are typed?"""

import pytest

from autograder.observe.runbook import commands

TRIGGER = "airflow dags trigger taxi_pipeline --logical-date 2024-03-01"
BACKFILL = "airflow backfill create --dag-id taxi_pipeline --from-date 2024-01-01 --to-date 2024-07-01"


@pytest.mark.parametrize(
    "text",
    [
        f"# Runbook\n\n```sh\n{TRIGGER}\n```\n",
        f"```\nairflow dags unpause taxi_pipeline\n{TRIGGER}\nairflow dags trigger another\n```\n",
        f"~~~bash\n$ {TRIGGER}\n~~~\n",
        f"Type `{TRIGGER}` and wait.",
        f"Type:\n\n    {TRIGGER}\n",
        f"- Type this:\n\n  ```sh\n  {TRIGGER}\n  ```\n",
        f"`airflow dags` has subcommands, and `x` too. ```{TRIGGER}```",
        f"```sh\n# airflow dags trigger is what we use\n{TRIGGER}\n```",
        f"airflow dags trigger is explained here. Use `{TRIGGER}`.",
        f"```sh\ndocker compose exec scheduler {TRIGGER}\n```",
    ],
    ids=[
        "fence",
        "among others",
        "prompt",
        "inline",
        "indented",
        "in a list",
        "backticks",
        "comment",
        "prose",
        "docker",
    ],
)
def test_a_trigger_command_is_found_in_code(text: str) -> None:
    assert commands(text) == {"trigger": TRIGGER, "backfill": None}


@pytest.mark.parametrize(
    "text",
    ["", "airflow dags trigger taxi_pipeline", "```sh\nairflow dags list\n```", "`my-airflow dags trigger x`"],
    ids=["empty", "no code", "another command", "another program"],
)
def test_what_is_no_command_is_not_found(text: str) -> None:
    assert commands(text) == {"trigger": None, "backfill": None}


def test_a_command_goes_on_after_a_backslash() -> None:
    text = "```sh\nairflow backfill create \\\n    --dag-id taxi_pipeline \\\n    --from-date 2024-01-01\nls\n```"
    assert commands(text)["backfill"] == (
        "airflow backfill create \\\n    --dag-id taxi_pipeline \\\n    --from-date 2024-01-01"
    )


def test_the_first_of_each_kind_counts_that_does_something() -> None:
    text = f"Try `{BACKFILL} --dry-run` first.\n\n```sh\n{BACKFILL}\n{TRIGGER}\n```\n"
    assert commands(text) == {"trigger": TRIGGER, "backfill": BACKFILL}


@pytest.mark.parametrize(
    ("before", "typed"),
    [
        ("airflow dags pause taxi_pipeline", "airflow dags pause taxi_pipeline\n"),
        ("airflow dags unpause taxi_pipeline", ""),
        ("airflow dags pause taxi_pipeline\nairflow dags unpause taxi_pipeline", ""),
        ("# airflow dags pause taxi_pipeline", ""),
    ],
)
def test_a_pause_before_a_command_is_typed_too(before: str, typed: str) -> None:
    assert commands(f"```sh\n{before}\n{BACKFILL}\n```")["backfill"] == typed + BACKFILL
