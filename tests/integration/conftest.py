"""What several integration tests start."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from autograder.airflow_local import postgres
from autograder.airflow_local.postgres import WAREHOUSE, Postgres
from autograder.airflow_local.session import Session
from autograder.sandbox import forget_environment

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: Debian's package is called chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()
