"""Tries: answer the observer in place of the process that describes the file, with what no check expects.

Held by: a description is validated, whoever wrote it.
Seen: the file counts as one that ended the process that imported it.
"""

import json
import os

from airflow.sdk import dag  # noqa: F401 - so that Airflow reads the file

for descriptor in range(3, 64):
    try:
        os.write(descriptor, json.dumps({"import_errors": [], "dags": {"taxi_pipeline": {"tasks": "all"}}}).encode())
    except OSError:
        continue
os._exit(0)
