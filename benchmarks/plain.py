"""The pipeline's bare work in one plain Python process: the same ingest and dbt calls, without Airflow.

Contract: `python -m benchmarks.plain PROJECT DAG_ID MONTH…` loads each month by the functions of the DAG's file, then
runs and tests the dbt project through dbt's own `dbtRunner`; the environment names the connection and the source.
Prints one JSON object: seconds by stage.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(project: Path, dag_id: str, months: Sequence[str]) -> dict[str, float]:
    """Do the work of these months, and return the seconds of each stage, of all months."""
    began = time.monotonic()
    dag: Any = _module(project / "dags" / f"{dag_id}.py")
    from dbt.cli.main import dbtRunner

    os.environ.update(dbt_variables(os.environ["AIRFLOW_CONN_AZURE_PG"], dag.SCHEMA, project))
    seconds = {"imports": time.monotonic() - began, "ingest": 0.0, "dbt run": 0.0, "dbt test": 0.0}
    runner = dbtRunner()
    for month in months:
        began = time.monotonic()
        dag.replace_month(month, dag.own_rows(dag.download(dag.parquet_url(month)), month))
        seconds["ingest"] += time.monotonic() - began
        for command in ("run", "test"):
            began = time.monotonic()
            done = runner.invoke([command, "--quiet"])
            if not done.success:
                raise SystemExit(f"dbt {command} failed for {month}: {done.exception}")
            seconds[f"dbt {command}"] += time.monotonic() - began
    return seconds


def _module(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dbt_variables(uri: str, schema: str, project: Path) -> dict[str, str]:
    """Return what the DAG hands to dbt: the connection `azure_pg`, for dbt's profile, and where the project is."""
    from psycopg import conninfo

    parts = conninfo.conninfo_to_dict(uri)
    names = {"PG_HOST": "host", "PG_PORT": "port", "PG_USER": "user", "PG_PASSWORD": "password", "PG_DBNAME": "dbname"}
    return {
        **{variable: str(parts[name]) for variable, name in names.items()},
        "PG_SCHEMA": schema,
        "DBT_PROJECT_DIR": str(project / "include" / "dbt_project"),
        "DBT_PROFILES_DIR": str(project / "include" / "dbt_project"),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])))
