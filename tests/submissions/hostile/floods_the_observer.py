"""Tries: fill the observer's memory with a description that does not end.

Held by: no more is read of a description than 4 MB.
Seen: the file counts as one that has too much in it.
"""

import os

from airflow.sdk import dag  # noqa: F401 - so that Airflow reads the file

for descriptor in range(3, 64):
    try:
        while True:
            os.write(descriptor, b"x" * 100_000)
    except OSError:
        continue
