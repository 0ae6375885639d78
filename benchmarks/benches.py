"""The benchmarks by name.

Contract: `run` measures what is asked for, what comes from the same runs at once, and returns figures in the order of
`NAMES`, with the stages of each.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from autograder.airflow_local.local import MONTHS
from autograder.errors import CourseError
from autograder.paths import ROOT
from benchmarks import class_grading, coursework, pipeline
from benchmarks.figures import Figure, Sample, alternate, figures, stages, tables
from benchmarks.plain import dbt_variables
from benchmarks.sides import DAG_ID, Ground, Ours, Side, Stock, call
from benchmarks.usage import Peak, cpu

CLI = ("cli", "cli-dags-list", "cli-backfill-dry-run", "cli-dbt-run")
"""`cli` is the three commands one after another."""

NAMES = (*pipeline.NAMES, "cli", "limit", "observe", "notebooks", "class", "class-sandbox", "class-size",
         "class-memory", "footprint")  # fmt: skip
"""What can be asked for."""

IDLE_FOR = 20.0
"""Seconds over which idle CPU is measured."""

Stages = dict[str, dict[str, dict[str, float]]]
"""Seconds by benchmark, side and stage."""


@dataclass
class Result:
    """What was measured."""

    figures: list[Figure] = field(default_factory=list)
    stages: Stages = field(default_factory=dict)

    def show(self) -> None:
        """Print it, for people."""
        tables(self.figures, self.stages)


def run(
    names: Collection[str],
    repeats: int,
    told: Callable[[str], None],
    chapters: Sequence[str] = (),
    submissions: int = 20,
) -> Result:
    """Make these benchmarks.

    Parameters
    ----------
    names
        Of `NAMES`.
    repeats
        How many times each side is measured.
    told
        Takes a line of progress.
    chapters
        Of `notebooks`, which; all when empty.
    submissions
        Of `class`, how many.

    Raises
    ------
    CourseError
        When a name is unknown, or a side does not work.
    """
    if unknown := [name for name in names if name not in NAMES]:
        raise CourseError(f"There is no benchmark {unknown[0]!r}.", todo=f"Name one of: {', '.join(NAMES)}, or all.")
    result = Result()
    asked = [name for name in pipeline.NAMES if name in names]
    if asked:
        told(f"{', '.join(asked)}:")
        left, right = alternate(lambda: pipeline.stock(asked), lambda: pipeline.ours(asked), repeats, told)
        result.figures += figures(left, right, asked)
        result.stages["backfill"] = {"stock": stages(left), "ours": stages(right)}
    if "cli" in names:
        told("cli:")
        with Ground.open() as one, Ground.open() as other:
            stock, ours = Stock(one), Ours.warm_up(other)
            for side in (stock, ours):
                prepare_cli(side)
            left, right = alternate(lambda: cli(stock), lambda: cli(ours), repeats, told)
        result.figures += figures(left, right, CLI)
    turns = in_turns(chapters, submissions)
    for name in [name for name in (*turns, *ALONE) if name in names]:
        told(f"{name}:")
        if name in ALONE:
            result.figures += ALONE[name]()
            continue
        (left_is, measure_left), (right_is, measure_right) = turns[name].items()
        left, right = alternate(measure_left, measure_right, repeats, told)
        result.figures += figures(left, right, [name])
        result.stages[name] = {left_is: stages(left), right_is: stages(right)}
    return result


def in_turns(chapters: Sequence[str], submissions: int) -> dict[str, dict[str, Callable[[], Sample]]]:
    """Return the two sides of each benchmark that has two, by what they are called."""
    notebooks = partial(coursework.notebooks, chapters)
    sandboxed = partial(class_grading.ours, 1, name="class-sandbox")
    return {
        "limit": {"plain": plain, "ours": limit},
        "observe": {"stock": partial(coursework.observe, warm=False), "ours": partial(coursework.observe, warm=True)},
        "notebooks": {"stock": partial(notebooks, warm=False), "ours": partial(notebooks, warm=True)},
        "class": {"stock": partial(class_grading.stock, submissions), "ours": partial(class_grading.ours, submissions)},
        "class-sandbox": {"without": partial(sandboxed, "--unsafe"), "with": sandboxed},
    }


def prepare_cli(side: Side) -> None:
    """Make what the commands look at: the stored DAG, January in the warehouse, and what dbt has parsed."""
    uri = side.environment["AIRFLOW_CONN_AZURE_PG"]
    side.environment.update(dbt_variables(uri, side.local.schema, side.ground.project))
    call(side, "airflow", "dags", "reserialize")
    bare_work(side, MONTHS[:1])
    call(side, "dbt", "run")


def cli(side: Side) -> Sample:
    """Time three commands, as they are typed."""
    commands: dict[str, Callable[[], None]] = {
        "cli-dags-list": lambda: call(side, "airflow", "dags", "list"),
        "cli-backfill-dry-run": lambda: pipeline.create_backfill(side, "--dry-run"),
        "cli-dbt-run": lambda: call(side, "dbt", "run"),
    }
    seconds = {}
    for name, command in commands.items():
        began = time.monotonic()
        command()
        seconds[name] = time.monotonic() - began
    return Sample({"cli": sum(seconds.values()), **seconds}, {}, pipeline.content(side))


def bare_work(side: Side, months: Sequence[str]) -> dict[str, float]:
    """Do the pipeline's work of these months in one plain process, and return its seconds by stage.

    Raises
    ------
    CourseError
        When it fails.
    """
    argv = [sys.executable, "-m", "benchmarks.plain", str(side.ground.project), DAG_ID, *months]
    done = subprocess.run(argv, env=side.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CourseError(f"The bare work failed:\n{done.stderr.strip()[-2000:]}")
    stages: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return stages


def plain() -> Sample:
    """Measure the work of seven months in one plain process, its imports apart: our parents have done theirs too."""
    with Ground.open() as ground:
        side = Stock(ground)
        stages = bare_work(side, MONTHS)
        return Sample({"limit": sum(stages.values()) - stages["imports"]}, stages, pipeline.content(side))


def limit() -> Sample:
    """Measure our backfill, from nothing but the warm parents."""
    sample = pipeline.ours(["backfill"])
    return replace(sample, seconds={"limit": sample.seconds["backfill"]})


def footprint() -> list[Figure]:
    """Measure memory over a backfill, and CPU once it has ended, on both sides."""
    (stock_peak, stock_idle), (our_peak, our_idle) = used(Stock), used(Ours.warm_up)
    return [
        Figure("peak-memory", stock_peak, our_peak, runs=1, unit="mb"),
        Figure("idle-cpu", stock_idle, our_idle, runs=1, unit="s_per_minute"),
    ]


def used(kind: Callable[[Ground], Side]) -> tuple[float, float]:
    """Return one side's peak memory, and the CPU that it uses when idle."""
    with Ground.open() as ground:
        with Peak() as peak:
            side = kind(ground)
            pipeline.measure(side, ["backfill"], warmed=0.0)
        return peak.megabytes, cpu(IDLE_FOR)


ALONE: dict[str, Callable[[], list[Figure]]] = {
    "class-size": lambda: [class_grading.flat()],
    "class-memory": lambda: [class_grading.memory()],
    "footprint": footprint,
}
"""Benchmarks that take no turns."""
