"""What a pull request must pass: every file imports, and every DAG says whose it is.

Run it in the repository's folder with `pytest`. It needs Airflow, but none that runs, and no database.
"""

import os
from pathlib import Path

import pytest

os.environ.pop("AIRFLOW_STUDENT", None)  # the shared Airflow does not have it either
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parent.parent / "dags"
FILES = sorted(DAGS.rglob("*.py"))
BAG = DagBag(str(DAGS))
OWNERS = {
    dag_id: Path(dag.fileloc).resolve().relative_to(DAGS).parts[0]
    for dag_id, dag in sorted(BAG.dags.items())
    if Path(dag.fileloc).resolve().parent != DAGS
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(DAGS)))
def test_the_file_is_in_a_students_folder(file: Path) -> None:
    """Directly in dags/, nobody would be asked to review it."""
    assert file.parent != DAGS, f"{file.name} should be in dags/<student>/."


def test_every_file_imports() -> None:
    """A file that does not import is no DAG on the shared Airflow, and nobody is told."""
    said = [f"{Path(file).name}: {error.strip().splitlines()[-1]}" for file, error in BAG.import_errors.items()]
    assert not said, f"Airflow cannot import {'; '.join(said)}"


@pytest.mark.parametrize(("dag_id", "owner"), OWNERS.items())
def test_the_dag_id_begins_with_the_student(dag_id: str, owner: str) -> None:
    """Two DAGs of one dag_id would take turns on the shared Airflow."""
    assert dag_id.startswith(f"{owner}_"), f"{dag_id} is in dags/{owner}/, so its dag_id should begin with {owner}_"


@pytest.mark.parametrize(("dag_id", "owner"), OWNERS.items())
def test_a_tag_names_the_student(dag_id: str, owner: str) -> None:
    """The tag is how everyone finds their own in a long list."""
    assert f"student:{owner}" in BAG.dags[dag_id].tags, f"{dag_id} should have the tag student:{owner}"
