"""What several integration tests start."""

import os
from collections.abc import Iterator

import pytest

from autograder.airflow_local import postgres
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.airflow_local.session import Session
from autograder.sandbox import forget_environment


@pytest.fixture(scope="module")
def without_secrets() -> Iterator[None]:
    """Forget this process's environment, as who starts sandboxes must, until a module's tests have ended."""
    before = dict(os.environ)
    forget_environment()
    yield
    os.environ.update(before)


@pytest.fixture(scope="module")
def warehouse_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a Postgres with an empty warehouse and without Airflow's tables; its template goes with the tests'."""
    state = tmp_path_factory.mktemp("state")
    with Session.open(state) as session:
        started = postgres.start(session, lambda uri: None, state=state)
        started.create_database(WAREHOUSE, owner=WAREHOUSE)
        yield started
