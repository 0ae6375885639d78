"""The Airflow that a class shares, as a program that a notebook starts.

Contract: `python -m autograder.airflow_local.class_airflow REPOSITORY USER…` starts an Airflow whose DAGs come from
the branch main of a Git repository, with a metadata database and a warehouse of its own, and nobody's AIRFLOW_STUDENT.
It prints one JSON object, `Said`, when all is healthy, or `{"error": …}`, and ends with everything that it started
when its standard input ends: with the notebook, however that goes.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import TypedDict

import jwt

from autograder.airflow_local import postgres
from autograder.airflow_local.airflow import Airflow, Keys, migrate
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.airflow_local.session import Session
from autograder.errors import CourseError

CONNECTION = "class_repository"
"""The connection that says where the class repository is."""

BUNDLES = [
    {
        "name": "class",
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"git_conn_id": CONNECTION, "tracking_ref": "main"},
    }
]
"""Where its DAGs come from; deploy/compose.yaml says the same."""

NAME = "shared"
AUDIENCE = "apache-airflow"
"""Whom Airflow's tokens are for, unless it is told otherwise."""

TOKEN_DAYS = 30


class Said(TypedDict):
    """What the program prints: where the Airflow and its warehouse are, and each user's token for the REST API."""

    url: str
    warehouse: str
    tokens: dict[str, str]


def settings(session: Session, database: Postgres, repository: str) -> dict[str, str]:
    """Return the environment of a class's Airflow, beyond what every Airflow of the course has.

    Parameters
    ----------
    session
        Holds its copies of the repository.
    database
        Holds its warehouse.
    repository
        The class repository's address.
    """
    return {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",  # chapter 8 waits for unchanged files too
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(session.folder / "bundles"),
        f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps({"conn_type": "git", "host": repository}),
        "AIRFLOW_CONN_AZURE_PG": database.uri(f"{WAREHOUSE}_{NAME}", user=WAREHOUSE),
        "DBT_TARGET_PATH": str(session.folder / "dbt"),
        "DBT_LOG_PATH": str(session.logs / "dbt"),
    }


def token(user: str, keys: Keys) -> str:
    """Return what a user who has logged in sends with each request: a token as Airflow's own login makes it.

    The UI of a course's Airflow asks for no login, so there is no page to get one from.
    """
    now = int(time.time())
    claims = {"sub": user, "role": "user", "teams": [], "aud": AUDIENCE, "iat": now, "nbf": now}
    return jwt.encode({**claims, "exp": now + TOKEN_DAYS * 86400}, keys.jwt, algorithm="HS512")


def serve(repository: str, users: Sequence[str]) -> None:
    """Run a class's Airflow until standard input ends.

    Parameters
    ----------
    repository
        The class repository's address.
    users
        Who may use it.

    Raises
    ------
    CourseError
        When a part cannot start.
    """
    # The notebook's own Airflow shares its warm commands, whose keys are read once, and nothing else.
    keys = Keys(jwt=os.environ["AIRFLOW__API_AUTH__JWT_SECRET"], fernet=os.environ["AIRFLOW__CORE__FERNET_KEY"])
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    with Session.open() as session:
        database = postgres.start(session, lambda uri: migrate(session, uri))
        database.create_database(NAME, template=postgres.TEMPLATE_DATABASE)
        database.create_database(f"{WAREHOUSE}_{NAME}", owner=WAREHOUSE)
        own = settings(session, database, repository)
        airflow = Airflow(session, database, NAME, session.folder / "no-dags", own, keys)
        airflow.start()
        tokens = {user: token(user, keys) for user in users}
        said = Said(url=airflow.url, warehouse=own["AIRFLOW_CONN_AZURE_PG"], tokens=tokens)
        print(json.dumps(said), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    try:
        serve(sys.argv[1], sys.argv[2:])
    except CourseError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(2)
