"""dbt without its packages, and with them."""

from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

PROJECT = Path(__file__).resolve().parent.parent / "notebooks" / "work" / "dbt_with_package"
UNUSED = dict.fromkeys(["PG_HOST", "PG_USER", "PG_PASSWORD", "PG_DBNAME", "PG_SCHEMA"], "parse does not connect")


def dbt(task_id, command, **more):
    return BashOperator(
        task_id=task_id, bash_command=f"dbt {command}", cwd=str(PROJECT), env=UNUSED, append_env=True, **more
    )


@dag(schedule=None, tags=["gotchas"])
def dbt_packages():
    dbt("without", "parse") >> dbt("deps", "deps", trigger_rule="all_done") >> dbt("with_packages", "parse")


dbt_packages()
