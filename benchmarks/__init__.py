"""How fast the course's Airflow is, beside what a careful user would run without it.

Contract: `run` makes the named benchmarks, each as a ratio of two sides measured in turn on the same machine, and
returns their figures. benchmarks/README.md says what each name means. Of autograder/, only `course bench` uses this.
"""

from benchmarks.benches import NAMES, run

__all__ = ["NAMES", "run"]
