"""One observation of a submission: a world, its Airflows, and the scenarios on them.

Contract: `Observation.run` returns the evidence apart from what names it, and leaves nothing of its own running and no
database; the session, which others may share, stays.
"""

import contextlib
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.airflow_local.local import MONTHS, Shared, World, practice_rows
from autograder.checks.rules import IMPORT_LIMIT_S
from autograder.observe import deploy, own_tests, parsing, project, runbook, scenarios, warehouse
from autograder.observe.stage import CALLED, Part, Stage, Told
from autograder.sandbox import Sandbox

BEFORE_RUNS = ("parse", "shared", "own_tests")
"""The scenarios that need no run on the student's own Airflow."""


@dataclass
class Observation:
    """A submission that is being observed.

    Parameters
    ----------
    shared
        What its Airflows share with others.
    folder
        The submission's project.
    student, content
        Whose it is, and a name for what it holds.
    told
        Takes lines of progress.
    sandbox
        What the student's code runs in, if not beside the rest.
    """

    shared: Shared
    folder: Path
    student: str
    content: str
    told: Told
    sandbox: Sandbox | None = None
    evidence: Part = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, wanted: Sequence[str], seed: str) -> Part:
        """Play the scenarios that are wanted on months made from `seed`."""
        name = f"observe_{secrets.token_hex(4)}"
        with self._timed("start"):
            self.told("starting")
            self.shared.commands.wait("airflow")
            world = World.start(
                self.shared, name=name, seed=seed, sandbox=self.sandbox,
                more=scenarios.published(), spoiled=[scenarios.FAILING_MONTH],
            )  # fmt: skip
        try:
            self._run(world, wanted)
        finally:
            world.stop()
            for database in (name, f"{name}_shared", f"{name}_tests", world.warehouse, f"{world.warehouse}_tests"):
                self.shared.postgres.drop_database(database)
            if self.sandbox:
                self.shared.postgres.drop_confined_user(world.user)
        return {**self.evidence, "seconds": self.seconds}

    def _run(self, world: World, wanted: Sequence[str]) -> None:
        airflow = world.airflow(self.folder, student=self.student, retry_delay=scenarios.RETRY_DELAY, closed=True)
        with self._timed("parse"):
            self.told("reading the DAG files")
            described = parsing.parsed(world, airflow)
        dag_id = parsing.dag_of(described, self.student)
        self.evidence |= {
            "dag_id": dag_id,
            "files": project.described(self.folder),
            "parsed": described,
            "source": {
                month: {"rows": world.source.months[month].rows, "in_month": world.source.months[month].in_month}
                for month in MONTHS
            },
            "practice": practice_rows(self.student),
        }
        if dag_id is None or any(described["contacts"].values()) or described["seconds"] > IMPORT_LIMIT_S:
            return  # the DAG does not load, or not as it must: nothing of its runs is judged
        dag = described["dags"][dag_id]
        with world.connect() as connection:
            warehouse.witness(connection)
        if set(wanted) - set(BEFORE_RUNS):
            stage = Stage(world, airflow, dag_id, dag["callbacks"], f"airflow_{self.student}")
            try:
                with self._timed("airflow"):
                    self.told("starting Airflow")
                    stage.start()
                    self.shared.commands.wait("dbt")
                self._play(stage, wanted)
            finally:
                airflow.stop()
        scratch = self.shared.session.folder / f"{world.name}-copies"
        if "shared" in wanted and scenarios.green(self.evidence.get("january")):
            with self._timed("shared"):
                self.told("beside classmates on a shared Airflow")
                self.evidence["shared"] = deploy.deployed(
                    world, self.folder, self.student, dag["file"], scratch / "shared"
                )
        if "own_tests" in wanted:
            with self._timed("own_tests"):
                self.told("your own tests")
                self.evidence["own_tests"] = self._own_tests(world, dag["file"], scratch)
        shutil.rmtree(scratch, ignore_errors=True)

    def _play(self, stage: Stage, wanted: Sequence[str]) -> None:
        begun = time.monotonic()

        def done(name: str, part: Part) -> None:
            nonlocal begun
            self.evidence[name] = part
            self.seconds[name] = round(time.monotonic() - begun, 1)
            begun = time.monotonic()

        scenarios.play(stage, wanted, scenarios.other_month(self.student, self.content), done, self.told)
        if "runbook" in wanted:
            self.told("the commands of the runbook")
            done("runbook", runbook.try_out(stage, self.evidence["files"]["RUNBOOK.md"], self.folder))

    def _own_tests(self, world: World, dag_file: str, scratch: Path) -> Part | None:
        database = f"{world.warehouse}_tests"
        self.shared.postgres.create_database(database, owner=world.user)
        if self.sandbox:
            self.sandbox.watch_database(self.shared.postgres, database)
        # Tests look at the DAG as it is written: without the cluster policy's changes.
        airflow = world.airflow(
            self.folder, student=self.student, name=f"{world.name}_tests", warehouse=database, closed=True,
            own_metadata=True, extra={CALLED: ""},
        )  # fmt: skip
        airflow.make_database()
        if self.sandbox:
            self.shared.postgres.open_to(airflow.name, world.user)
        return own_tests.try_out(airflow, self.folder, dag_file, scratch)

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 1)
