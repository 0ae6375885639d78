"""What of Airflow's and dbt's insides the warm parents rely on is as it was when `preload` was written."""

import hashlib
import inspect

import pytest
from airflow import configuration, settings
from airflow.cli import cli_config, cli_parser
from airflow.config_templates import airflow_local_settings
from airflow.sdk import configuration as sdk_configuration

from autograder.airflow_local import preload

pytestmark = pytest.mark.integration

STARTS = (
    settings.initialize,
    settings.configure_vars,
    settings.prepare_syspath_for_config_and_plugins,
    configuration.initialize_config,
    configuration.load_standard_airflow_configuration,
    configuration.get_airflow_home,
    configuration.get_airflow_config,
    sdk_configuration.initialize_config,
)
"""What an Airflow process does when it is imported; `reset_airflow` does again what depends on the environment."""

READ = "a5f497ae64286925"
"""Digest of the source of these, as it was when `reset_airflow` was last compared with it."""


def test_what_airflow_does_when_it_is_imported_is_known() -> None:
    source = "".join(inspect.getsource(function) for function in STARTS)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == READ, (
        "Airflow starts differently now. Compare preload.reset_airflow with airflow.settings.initialize and the two "
        "configuration modules, mend it, and put the new digest here."
    )


def test_what_reset_airflow_uses_is_there() -> None:
    for used in (
        settings.dispose_orm,
        settings.configure_vars,
        settings.configure_logging,
        settings.configure_orm,
        settings.prepare_syspath_for_config_and_plugins,
        configuration.write_default_airflow_configuration_if_needed,
        configuration.conf.read,
        sdk_configuration.conf.read,
    ):
        assert callable(used)
    assert "do_log" in inspect.signature(settings.dispose_orm).parameters
    assert isinstance(settings.AIRFLOW_HOME, str)
    assert isinstance(settings.PLUGINS_FOLDER, str)
    assert isinstance(configuration.AIRFLOW_CONFIG, str)
    for module in (airflow_local_settings, cli_config, cli_parser):
        assert inspect.ismodule(module), "reloaded, since it reads settings when it is imported"
    used_names = set(preload.reset_airflow.__code__.co_names)
    known = """
        AIRFLOW_CONFIG AIRFLOW_HOME PLUGINS_FOLDER Path airflow airflow.cli airflow.config_templates airflow.sdk
        airflow_local_settings cli cli_config cli_parser conf config_templates configuration configure_logging
        configure_orm configure_vars dispose_orm exists get_airflow_config get_airflow_home importlib join os path
        prepare_syspath_for_config_and_plugins read reload remove sdk settings sys
    """
    assert used_names <= set(known.split()), "check here each of Airflow's names that reset_airflow uses"


def test_dbt_need_not_parse_a_text_again() -> None:
    from dbt_common import tests as caching
    from dbt_common.clients import jinja

    text = "{% macro said_twice(x) %}{{ x }}{% endmacro %}"
    assert jinja.parse(text) is not jinja.parse(text)
    caching.enable_test_caching()
    try:
        assert jinja.parse(text) is jinja.parse(text), "preload.dbt relies on this for quick full parses"
    finally:
        caching.disable_test_caching()


def test_dbt_writes_its_artifacts_by_json_dump() -> None:
    from dbt_common.clients import system

    assert "json.dump(" in inspect.getsource(system.write_json), "preload.write_json_at_once stands in for it"
