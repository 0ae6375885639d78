"""Figures: two sides measured in turn, and the medians of what they took.

Contract: pure functions. A `Sample` is what one run of one side took, by what was measured; `alternate` runs the
sides, `figures` and `stages` make medians of the samples. Numbers are seconds unless a name says otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from autograder.console import table

FLOORS = {
    "backfill": 8.0,
    "backfill-cold": 4.0,
    "backfill-up": 6.0,
    "cli": 10.0,
    "boot": 15.0,
    "limit": 1 / 2.5,
    "notebooks": 5.0,
    "class": 12.0,
    "class-sandbox": 1 / 1.1,
    "class-size": 1 / 1.1,
}
"""The least ratio that the course promises; of `limit`, that Airflow costs no more than 2.5 times the bare work; of
`class-sandbox` and `class-size`, that a sandbox, or a class of 200 beside one of 10, costs at most a tenth more."""


@dataclass(frozen=True)
class Sample:
    """One run of one side.

    Parameters
    ----------
    seconds
        By the name of the figure.
    stages
        Where the time of the longest of them went, by stage, in order.
    content
        What the run left in the warehouse; the same on both sides, or they did not do the same work.
    """

    seconds: Mapping[str, float]
    stages: Mapping[str, float]
    content: object = None


@dataclass(frozen=True)
class Figure:
    """A figure of both sides: medians of `runs` runs each."""

    name: str
    stock: float
    ours: float
    runs: int
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """How many times as much the stock side takes."""
        return self.stock / self.ours

    def as_json(self) -> dict[str, Any]:
        """Return what a program reads: `name`, `stock_s`, `ours_s`, `ratio` and `runs`."""
        sides = {f"stock_{self.unit}": round(self.stock, 3), f"ours_{self.unit}": round(self.ours, 3)}
        return {"name": self.name, **sides, "ratio": round(self.ratio, 2), "runs": self.runs}


def alternate(
    stock: Callable[[], Sample], ours: Callable[[], Sample], repeats: int, told: Callable[[str], None]
) -> tuple[list[Sample], list[Sample]]:
    """Run both sides in turn, stock first, `repeats` times.

    Raises
    ------
    AssertionError
        When the two sides of a turn left different content.
    """
    samples: tuple[list[Sample], list[Sample]] = ([], [])
    for turn in range(repeats):
        for side, measure, taken in (("stock", stock, samples[0]), ("ours", ours, samples[1])):
            taken.append(measure())
            seconds = ", ".join(f"{name} {value:.2f} s" for name, value in taken[-1].seconds.items())
            told(f"{turn + 1} of {repeats}, {side}: {seconds}")
        left, right = samples[0][-1].content, samples[1][-1].content
        if left != right:
            raise AssertionError(f"the two sides left different tables: {left} and {right}")
    return samples


def figures(stock: Sequence[Sample], ours: Sequence[Sample], names: Sequence[str]) -> list[Figure]:
    """Return the medians of the named figures, in the order of `names`."""

    def middle(samples: Sequence[Sample], name: str) -> float:
        return median(sample.seconds[name] for sample in samples)

    return [Figure(name, middle(stock, name), middle(ours, name), len(ours)) for name in names]


def stages(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median of each stage, in the order of the first sample."""
    return {stage: median(sample.stages[stage] for sample in samples) for stage in samples[0].stages}


def tables(made: Sequence[Figure], where: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print the figures, and for each benchmark of `where` a table of its stages by side."""
    table(
        "Medians, stock beside ours",
        ["bench", "stock", "ours", "", "stock/ours", "at least", "runs"],
        [
            [one.name, f"{one.stock:.2f}", f"{one.ours:.2f}", one.unit, f"{one.ratio:.2f}",
             f"{FLOORS[one.name]:g}" if one.name in FLOORS else "", one.runs]
            for one in made
        ],
    )  # fmt: skip
    for name, sides in where.items():
        rows = [*dict.fromkeys(stage for side in sides.values() for stage in side)]
        table(
            f"Where the time of {name} goes, in seconds",
            ["stage", *sides],
            [[row, *(f"{side[row]:.2f}" if row in side else "" for side in sides.values())] for row in rows],
        )
