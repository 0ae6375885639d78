"""Environments: what a teacher's has that a run does not need, and what a sandbox's has.

Contract: `forget_environment` drops from this process, before it starts anything, all that could be a secret. `inside`
makes the environment of a sandbox's processes from that of an Airflow: nothing of the teacher's, and no credential
that is good for anything but the student's own warehouse.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from autograder.airflow_local.commands import FOLDER, SCRIPTS

KEPT = ("COURSE_SESSION", "COURSE_WARM", "HOME", "LANG", "LC_ALL", "NO_COLOR", "PATH", "PYTHONDONTWRITEBYTECODE",
        "TERM", "TMPDIR", "TZ", "VIRTUAL_ENV")  # fmt: skip
"""What of a teacher's environment our own processes need."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_DATABASE = "airflow-db-not-allowed:///"
"""What Airflow itself puts in place of its metadata database in a task."""


def superfluous() -> set[str]:
    """Return the names of what is not needed of this process's environment."""
    return {name for name in set(os.environ) - set(KEPT) if not name.startswith("PYTEST_")}


def forget_environment() -> None:
    """Drop what is not needed from this process's environment."""
    for name in superfluous():
        del os.environ[name]


def inside(environment: Mapping[str, str], folder: Path, project: Path, *, metadata: str | None) -> dict[str, str]:
    """Return the environment of processes in a sandbox.

    Parameters
    ----------
    environment
        Of the Airflow that runs them.
    folder
        The session's: inside, a place to write to.
    project
        What can be imported, beside what the Airflow's own processes can.
    metadata
        The address of a metadata database for those that run an Airflow of their own; None for none.
    """
    home = folder / "home"
    return {
        **{name: value for name, value in environment.items() if name.isupper()},
        **{name: value for name, value in environment.items() if name.endswith("_proxy")},
        "PATH": os.pathsep.join([str(folder / FOLDER), str(SCRIPTS), SYSTEM_PATH]),
        "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(project)]),
        "HOME": str(home),
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder / "tmp"),
        "SPT_NOENV": "1",
        "DBT_LOG_PATH": str(home / "dbt-logs"),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata or NO_DATABASE,
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
    }
