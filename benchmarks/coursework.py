"""What the course does all day, on both sides: observing a submission, and running the chapters' notebooks.

Contract: `observe` and `notebooks` measure one side once, and return a `Sample`. The stock side does the same work with
the packages' own `airflow` and `dbt`, each command and each component a process that imports what it needs, and one
notebook after another; only what is around them (Postgres, source, what is looked at) is the same.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from autograder.airflow_local.airflow import Keys
from autograder.airflow_local.commands import Commands
from autograder.airflow_local.local import Shared
from autograder.checks import judge
from autograder.errors import CourseError
from autograder.observe.evidence import SCENARIOS, VERSION
from autograder.observe.observation import Observation
from autograder.observe.project import content_digest, write_project
from autograder.paths import ASSIGNMENT, ROOT, SOURCE
from benchmarks.figures import Sample
from benchmarks.sides import STUDENT, Ground

SEED = "benchmark"


def observe(*, warm: bool) -> Sample:
    """Observe the reference, every scenario of it; its content is the verdicts.

    Parameters
    ----------
    warm
        Whether warm parents run the commands; these are ready before the clock starts.
    """
    with Ground.open() as ground:
        session, database = ground.session, ground.database
        shared = (
            Shared.on(session, database, Keys()) if warm else Shared(session, database, Commands(session, {}), Keys())
        )
        for program in shared.commands.parents:
            shared.commands.wait(program)
        project = write_project(SOURCE / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", session.folder / "handed-in")
        began = time.monotonic()
        observation = Observation(shared, project, STUDENT, content_digest(project), lambda _: None)
        seen = observation.run(SCENARIOS, SEED)
        seconds = time.monotonic() - began
    evidence = {"version": VERSION, "student": STUDENT, "digest": "", **seen}
    return Sample({"observe": seconds}, seen["seconds"], {one.id: one.verdict for one in judge(evidence)})


def notebooks(names: Sequence[str], *, warm: bool) -> Sample:
    """Run notebooks as `./course notebooks` does: two at a time where it is warm, else one after another.

    Parameters
    ----------
    names
        Ids of chapters; all when empty.
    warm
        Whether warm parents run the commands; their start is in the time.

    Raises
    ------
    CourseError
        When a notebook fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "notebooks.json"
        argv = [sys.executable, "-m", "autograder", "notebooks", *names, "--json", str(result)]
        began = time.monotonic()
        done = subprocess.run(
            [*argv, "--jobs", "2" if warm else "1"], cwd=ROOT, env={**os.environ, "COURSE_WARM": str(int(warm))},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        if done.returncode:
            raise CourseError(f"The notebooks did not run:\n{(done.stdout + done.stderr).strip()[-2000:]}")
        stages = {f"chapter {one['chapter']}": one["seconds"] for one in json.loads(result.read_text())}
    return Sample({"notebooks": seconds}, stages)
