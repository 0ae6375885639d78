"""The submission on a shared Airflow: beside classmates, with nobody's name in the environment.

Contract: `deployed` puts the DAG file into `dags/<student>/` of a project with two classmates' pipelines, whose
tables are loaded, starts an Airflow without AIRFLOW_STUDENT on it, runs the student's DAG once, and tells what
happened to whose tables.
"""

import io
import shutil
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from psycopg import sql

from autograder.airflow_local.local import World
from autograder.airflow_local.months import file_name
from autograder.observe import parsing, scenarios, warehouse
from autograder.observe.project import IGNORED
from autograder.observe.stage import Part, Stage
from autograder.paths import DAGS

CLASSMATES = ("grace", "linus", "margaret")
"""Two of these have pipelines of their own: the course's."""

CLASSMATES_ROWS = 300


def deployed(world: World, project: Path, student: str, dag_file: str, folder: Path) -> Part:
    """Deploy, and run once.

    Parameters
    ----------
    world
        Where; the student's schema in its warehouse is dropped.
    project
        The submission's.
    student
        Whose folder and schema it is.
    dag_file
        The file with the DAG, in `dags/`, where there is no `dags/<student>/`.
    folder
        Where the shared project is made.

    Returns
    -------
    dict
        As for `january`, with `parsed`; `dag_id` of the student's DAG there, or None; `others_before` and
        `others_after`, by schema; and `default_schema`, what stands in airflow_default.
    """
    mates = [name for name in CLASSMATES if name != student][:2]
    _lay_out(project, student, mates, dag_file, folder)
    airflow = world.airflow(
        folder, student=None, name=f"{world.name}_shared", retry_delay=scenarios.RETRY_DELAY, closed=True
    )
    described = parsing.parsed(world, airflow)
    dag_id = parsing.dag_of(described, student, Path(student))
    part: Part = {"dag_id": dag_id, "parsed": described}
    if dag_id is None:
        nothing = {"raw_trips": None, "fct_trips": None}
        nobody: Part = {"others_before": {}, "others_after": {}, "default_schema": nothing}
        return part | nobody | {"runs": [], "tables": nothing, "requests": [], "notifications": [], "refused": None}
    schemas = [f"airflow_{name}" for name in mates]
    stage = Stage(world, airflow, dag_id, described["dags"][dag_id]["callbacks"], f"airflow_{student}")
    with world.connect() as connection:
        warehouse.drop_schemas(connection, stage.schema, "airflow_default", *schemas)
        for schema in schemas:
            _load(connection, world.user, schema, world.source.months_folder / file_name(scenarios.JANUARY))
    with world.look() as looking:
        part["others_before"] = {schema: warehouse.snapshot(looking, schema) for schema in schemas}
    stage.start()
    try:
        stage.api.pause(dag_id, paused=False)
        part |= scenarios.one_run(stage, scenarios.JANUARY)
    finally:
        airflow.stop()
    with world.look() as looking:
        part["others_after"] = {schema: warehouse.snapshot(looking, schema) for schema in schemas}
        part["default_schema"] = warehouse.snapshot(looking, "airflow_default")
    return part


def _lay_out(project: Path, student: str, mates: list[str], dag_file: str, folder: Path) -> None:
    shutil.copytree(project / "include", folder / "include", ignore=IGNORED)
    if any((project / "dags" / student).glob("*.py")):
        shutil.copytree(project / "dags" / student, folder / "dags" / student, ignore=IGNORED)
    else:
        (folder / "dags" / student).mkdir(parents=True)
        shutil.copy(project / "dags" / dag_file, folder / "dags" / student)
    for mate in mates:
        (folder / "dags" / mate).mkdir()
        shutil.copy(DAGS / f"{scenarios.DAG_ID}.py", folder / "dags" / mate)


def _load(connection: psycopg.Connection, user: str, schema: str, file: Path) -> None:
    """Give a classmate tables, as their user, who is everyone's."""
    rows = pa.parquet.read_table(file).slice(0, CLASSMATES_ROWS)
    kinds = {"int": "bigint", "dou": "double precision", "tim": "timestamp", "lar": "text", "str": "text"}
    columns = ", ".join(f'"{column.name}" {kinds[str(column.type)[:3]]}' for column in rows.schema)
    csv = io.BytesIO()
    pa.csv.write_csv(rows, csv, pa.csv.WriteOptions(include_header=False))
    names = {"schema": sql.Identifier(schema), "raw": sql.Identifier(schema, "raw_trips")}
    names["fct"], names["user"] = sql.Identifier(schema, "fct_trips"), sql.Identifier(user)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET LOCAL ROLE {user}").format(**names))
        cursor.execute(sql.SQL("CREATE SCHEMA {schema}").format(**names))
        cursor.execute(sql.SQL("CREATE TABLE {raw} (" + columns + ")").format(**names))
        with cursor.copy(sql.SQL("COPY {raw} FROM STDIN (FORMAT csv)").format(**names)) as copy:
            copy.write(csv.getbuffer())
        cursor.execute(
            sql.SQL("CREATE TABLE {fct} AS SELECT lpep_pickup_datetime AS pickup_at, total_amount FROM {raw}").format(
                **names
            )
        )
