"""What several integration tests start: a Postgres that stands for the warehouse."""

from collections.abc import Iterator

import pytest

from autograder.airflow_local import postgres
from autograder.airflow_local.postgres import Postgres
from autograder.airflow_local.session import Session


@pytest.fixture(scope="module")
def warehouse_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start an embedded Postgres without Airflow's tables, whose template goes with the test's folder."""
    state = tmp_path_factory.mktemp("state")
    with Session.open(state) as session:
        yield postgres.start(session, lambda uri: None, state=state)
