"""Is the pipeline in dags/ loaded, scheduled, in order and guarded, in whichever style it is written?"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parent.parent / "dags"
STEPS = ["ingest_taxi_month", "dbt_run", "dbt_test"]


@pytest.fixture(scope="module")
def bag():
    return DagBag(dag_folder=str(DAGS))


@pytest.fixture(scope="module")
def dag(bag):
    (found,) = (dag for dag_id, dag in bag.dags.items() if dag_id.endswith("taxi_pipeline"))
    return found


def test_nothing_is_broken(bag):
    assert not bag.import_errors


def test_schedule(dag):
    cron = getattr(dag.schedule, "expression", dag.schedule)
    assert cron in ("@monthly", "0 0 1 * *")
    assert dag.start_date <= datetime(2024, 1, 1, tzinfo=UTC)
    assert not dag.catchup
    assert dag.max_active_runs == 1


def test_tags(dag):
    assert any(tag.startswith("student:") for tag in dag.tags)


def test_the_steps_are_there_and_in_order(dag):
    for first, then in zip(STEPS, STEPS[1:], strict=False):
        after = {task.task_id for task in dag.get_task(first).get_flat_relatives(upstream=False)}
        assert then in after, f"{then} does not come after {first}"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_waits_for_success(dag, step):
    assert dag.get_task(step).trigger_rule == "all_success"


def test_faults_that_pass_are_tried_again(dag):
    ingest = dag.get_task("ingest_taxi_month")
    assert ingest.retries >= 2
    assert ingest.retry_delay >= timedelta(seconds=30)


def test_somebody_is_told_of_a_failure(dag):
    by_task = [task.on_failure_callback for task in dag.tasks]
    assert dag.on_failure_callback or all(by_task) or dag.has_task("notify")
