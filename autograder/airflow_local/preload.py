"""What a warm parent imports and builds before it forks, and what its children run.

Contract: each function in `PROGRAMS` makes its program ready in this process and returns the entry point that a
forked child calls, which is the one of the program's own console script. Nothing of Airflow or dbt is replaced; the
one place that touches Airflow's internals is `reset_airflow`.
"""

import asyncio
import functools
import gc
import importlib
import json
import os
import pickle
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from autograder.paths import ROOT

AIRFLOW_MODULES = (
    "airflow.__main__",
    "airflow.api_fastapi.main",
    "airflow.callbacks.database_callback_sink",
    "airflow.cli.commands.api_server_command",
    "airflow.cli.commands.backfill_command",
    "airflow.cli.commands.dag_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.dag_processing.bundles.local",
    "airflow.dag_processing.processor",
    "airflow.executors.local_executor",
    "airflow.providers.http.notifications.http",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.decorators.bash",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.operators.empty",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.providers.standard.sensors.external_task",
    "airflow.providers.standard.sensors.filesystem",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.timetables.trigger",
    "airflow.utils.serve_logs",
    "airflow.version",
    "cryptography.hazmat.backends.openssl.backend",
    "httpx",
    "jinja2.ext",
    "multiprocessing.popen_fork",
    "multiprocessing.queues",
    "pandas",
    "psycopg",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pytest",
    "trustme",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What the commands, the tasks of the course's DAGs, the tests of these, and our servers import."""

DBT_WARMUP = (["run"], ["test"])
"""Run once in the parent: dbt builds its parsers and validators when they are first used, for about a second."""


def airflow() -> Callable[[], int]:
    """Import Airflow and its API server, and build what the server's first request would build."""
    for module in AIRFLOW_MODULES:
        importlib.import_module(module)
    import httpx
    import numpy
    import pytest
    from airflow import configuration
    from airflow.__main__ import main
    from airflow.api_fastapi.main import app
    from airflow.models import import_all_models
    from airflow.sdk.api.client import Client
    from sqlalchemy.orm import configure_mappers

    import_all_models()
    configure_mappers()  # the first query of each process would

    from autograder.airflow_local.commands import MODULE

    async def first_request() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://warm") as client:
            await client.get("/execution/health")

    asyncio.run(first_request())
    Client(base_url="http://warm", token="").close()  # it keeps the certificates that it reads, for later ones
    # Written once, here, rather than by the first command of each deployment.
    configuration.write_default_airflow_configuration_if_needed()

    def run() -> int:
        program = sys.argv[0]
        if program == MODULE:
            _, _, name, *arguments = sys.argv  # module -m NAME ARG…
            sys.argv = [name, *arguments]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            return 0
        reset_airflow()
        # Without our folder, which packages of a project's own may be called like parts of.
        sys.path[:] = [entry for entry in sys.path if entry != str(ROOT)]
        numpy.random.seed()  # each process draws its own numbers; Python's own generator sees to that itself
        if program == "pytest":
            sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m pytest` does
            # It cannot rewrite the asserts of modules that are imported already, and those of tests are not.
            return int(pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *sys.argv[1:]]))
        return main() or 0

    return run


def reset_airflow() -> None:
    """Make Airflow read the environment again, in a forked child."""
    from airflow import configuration, settings
    from airflow.cli import cli_config, cli_parser
    from airflow.config_templates import airflow_local_settings
    from airflow.sdk import configuration as sdk_configuration

    settings.dispose_orm(do_log=False)
    for parents in (os.path.join(settings.AIRFLOW_HOME, "config"), settings.PLUGINS_FOLDER):  # noqa: PTH118
        if parents in sys.path:
            sys.path.remove(parents)
    settings.AIRFLOW_HOME = configuration.AIRFLOW_HOME = configuration.get_airflow_home()
    file = configuration.get_airflow_config(settings.AIRFLOW_HOME)
    if Path(file).exists():
        configuration.AIRFLOW_CONFIG = file
        configuration.conf.read(file)
        sdk_configuration.conf.read(file)
    settings.configure_vars()
    settings.prepare_syspath_for_config_and_plugins()
    # These read settings when they are imported: where logs go, and the defaults of the commands' options.
    for module in (airflow_local_settings, cli_config, cli_parser):
        importlib.reload(module)
    settings.configure_logging()
    settings.configure_orm()


def dbt() -> Callable[[], int]:
    """Import dbt, and let it build and test the course's models in the database that the environment names."""
    import psycopg
    from dbt.cli.main import cli, dbtRunner
    from dbt_common.tests import enable_test_caching
    from psycopg import sql

    from autograder.airflow_local.months import SCHEMA

    kinds = {"int": "bigint", "dou": "double precision", "tim": "timestamp", "lar": "text"}
    columns = ", ".join(f'"{column.name}" {kinds[str(column.type)[:3]]}' for column in SCHEMA)
    with psycopg.connect(os.environ["COURSE_WARMUP_DATABASE"]) as connection:
        schema = sql.Identifier(os.environ["PG_SCHEMA"])
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(sql.SQL("CREATE TABLE {}.raw_trips (" + columns + ")").format(schema))
    extractors = [
        importlib.import_module(f"dbt.{name}")
        for name in ("clients.jinja_static", "parser.models", "parser.unit_tests")
    ]
    extract = extractors[0].py_extract_from_source
    for module in extractors:
        # It starts native threads, which a fork would not have, and wait for.
        vars(module)["py_extract_from_source"] = functools.partial(in_a_fork, extract)
    enable_test_caching()  # dbt's own, for many runs in one process: texts that it has parsed, it need not parse again
    vars(json)["dump"] = write_json_at_once
    for command in DBT_WARMUP:
        # What dbt finds matters as little as what it says: this is for what it builds in memory.
        dbtRunner().invoke([*command, "--quiet"])
    for module in extractors:
        vars(module)["py_extract_from_source"] = extract

    def run() -> int:
        gc.set_threshold(500_000)  # what dbt makes in its second, it keeps: looking for garbage takes a tenth of it
        cli(prog_name="dbt")  # else it names itself after the module that runs
        return 0

    return run


def write_json_at_once(value: Any, file: TextIO, **options: Any) -> None:  # noqa: ANN401 - as json.dump
    """Do what `json.dump` does, at once: in parts, Python uses a slow encoder, and dbt writes much JSON."""
    file.write(json.dumps(value, **options))


def in_a_fork(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - whatever it returns
    """Return what a function returns, or raise what it raises, having called it in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write, "wb") as answer:
            try:
                pickle.dump((True, function(*arguments)), answer)
            except Exception as error:
                pickle.dump((False, error), answer)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        returned, value = pickle.load(answer)  # noqa: S301 - our own fork's
    os.waitpid(child, 0)
    if not returned:
        raise value
    return value


PROGRAMS: dict[str, Callable[[], Callable[[], int]]] = {"airflow": airflow, "dbt": dbt}
