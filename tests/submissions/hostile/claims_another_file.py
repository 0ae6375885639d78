"""Tries: be judged by the teacher's own DAG file, or have ours written over, by calling it the file of its DAG.

Held by: which file a DAG is in is known to who reads the files, whatever its process says.
Seen: the DAG is in the file that was handed in, though the rest of the description, which is as good as true, is taken.
"""

import json
import os
import sys
from pathlib import Path

from airflow.sdk import dag  # noqa: F401 - so that Airflow reads the file

course = next(Path(path).parents[2] for path in sys.path if path.endswith("airflow_local/config"))
task = {"operator": "@task", "downstream": [], "retries": 3.0, "retry_delay": 300, "trigger_rule": "all_success"}
described = {
    "file": str(course / "dags" / "taxi_pipeline.py"),
    "schedule": "@monthly",
    "start_date": "2024-01-01T00:00:00Z",
    "catchup": False,
    "max_active_runs": 1,
    "tags": ["forged"],
    "callbacks": [],
    "tasks": {
        "ingest_taxi_month": {**task, "downstream": ["dbt_run"]},
        "dbt_run": {**task, "downstream": ["dbt_test"]},
        "dbt_test": task,
    },
}
for descriptor in range(3, 64):
    try:
        os.write(descriptor, json.dumps({"import_errors": [], "dags": {"taxi_pipeline": described}}).encode())
    except OSError:
        continue
os._exit(0)
