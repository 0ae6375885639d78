"""Does deploy/ say what chapter 8 runs, at the versions of the lock, with no secret and no default for one?"""

import json
import re
from typing import Any

import yaml

from autograder.airflow_local.class_airflow import BUNDLES, CONNECTION
from autograder.paths import CLASS_REPOSITORY, DEPLOY, ROOT

COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "postgres"}
REQUIREMENTS = (CLASS_REPOSITORY / "requirements.txt").read_text(encoding="utf-8").split()
LOCKED = set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
AIRFLOW = next(line.partition("==")[2] for line in REQUIREMENTS if line.startswith("apache-airflow=="))


def test_versions_are_those_of_the_lock() -> None:
    assert set(REQUIREMENTS) - LOCKED == set()
    assert {service["image"] for service in OURS.values()} == {f"class-airflow:{AIRFLOW}"}
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM apache/airflow:(.+)-python3\.\d+$", dockerfile, re.MULTILINE) == [AIRFLOW]


def test_every_component_is_there_and_tells_its_health() -> None:
    assert set(OURS) == {"init", "api-server", "scheduler", "dag-processor", "triggerer"}
    lasting = set(SERVICES) - {"init"}
    assert {name for name in lasting if "healthcheck" in SERVICES[name]} == lasting
    assert all(OURS[name]["command"] == name for name in set(OURS) - {"init"})


def test_dags_come_from_where_the_chapter_has_them_from() -> None:
    for name, service in OURS.items():
        settings = service["environment"]
        assert json.loads(settings["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"]) == BUNDLES, name
        assert f"AIRFLOW_CONN_{CONNECTION.upper()}" in settings, name


def test_nobody_is_the_student() -> None:
    assert [name for name, service in SERVICES.items() if "AIRFLOW_STUDENT" in service["environment"]] == []


def test_every_secret_must_be_given() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE))
    assert used == set(re.findall(r"(?<!\$)\$\{(\w+):\?", COMPOSE)), "each as ${NAME:?…}, which has no default"
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    lines = [line for line in example.splitlines() if line and not line.startswith("#")]
    assert {line.partition("=")[0] for line in lines} == used
    assert [line for line in lines if not line.endswith("=")] == [], "an example with a value gets used as it is"


def test_a_pull_request_runs_the_check_of_the_chapter() -> None:
    workflow = yaml.safe_load((CLASS_REPOSITORY / ".github" / "workflows" / "check.yaml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["dags"]["steps"]
    assert [step["run"] for step in steps if "run" in step][-1] == "pytest"
