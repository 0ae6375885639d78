"""The benchmarks' figures: turns, medians, and what is written of them."""

import re

import pytest

from autograder.cli import app
from autograder.errors import CourseError
from autograder.paths import ROOT
from benchmarks import NAMES, benches, run
from benchmarks.figures import FLOORS, Figure, Sample, alternate, figures, stages, tables


def test_every_name_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measured(left: object, right: object, repeats: int, told: object) -> tuple[list[Sample], list[Sample]]:
        return ([Sample(dict.fromkeys(NAMES, 2.0), {"work": 1.0})], [Sample(dict.fromkeys(NAMES, 1.0), {})])

    monkeypatch.setattr(benches, "alternate", measured)
    for name in benches.ALONE:
        monkeypatch.setitem(benches.ALONE, name, lambda name=name: [Figure(name, 2.0, 1.0, 1)])
    others = [name for name in NAMES if name != "cli"]  # it starts an Airflow on each side before
    result = run(others, 1, asked.append)
    assert [one.name for one in result.figures] == others
    assert result.stages["class"] == {"stock": {"work": 1.0}, "ours": {}}


def test_sides_take_turns_stock_first() -> None:
    order: list[str] = []

    def side(name: str) -> Sample:
        order.append(name)
        return Sample({"boot": float(len(order))}, {})

    lines: list[str] = []
    stock, ours = alternate(lambda: side("stock"), lambda: side("ours"), 3, lines.append)
    assert order == ["stock", "ours"] * 3
    assert [one.seconds["boot"] for one in stock] == [1, 3, 5]
    assert [one.seconds["boot"] for one in ours] == [2, 4, 6]
    assert lines[3] == "2 of 3, ours: boot 4.00 s"


def test_sides_that_left_other_tables_did_other_work() -> None:
    with pytest.raises(AssertionError, match="different tables"):
        alternate(lambda: Sample({}, {}, {"rows": 7}), lambda: Sample({}, {}, {"rows": 6}), 1, lambda _: None)


def test_a_figure_is_the_median_of_each_side() -> None:
    stock = [Sample({"boot": took, "cli": 9.0}, {}) for took in (60.0, 100.0, 50.0)]
    ours = [Sample({"boot": took, "cli": 1.0}, {}) for took in (2.0, 1.0, 3.0)]
    boot, cli = figures(stock, ours, ["boot", "cli"])
    assert boot.as_json() == {"name": "boot", "stock_s": 60.0, "ours_s": 2.0, "ratio": 30.0, "runs": 3}
    assert (cli.name, cli.ratio) == ("cli", 9.0)


def test_a_stage_is_a_median_too_and_keeps_its_place() -> None:
    samples = [Sample({}, {"start": one, "ingest": two}) for one, two in ((1.0, 9.0), (2.0, 7.0), (3.0, 8.0))]
    assert list(stages(samples).items()) == [("start", 2.0), ("ingest", 8.0)]


def test_what_is_not_seconds_says_its_unit() -> None:
    assert Figure("peak-memory", 3000.0, 500.0, 1, "mb").as_json() == {
        "name": "peak-memory",
        "stock_mb": 3000.0,
        "ours_mb": 500.0,
        "ratio": 6.0,
        "runs": 1,
    }


def test_tables_show_floors_and_the_stages_of_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    where = {"backfill": {"stock": {"ingest": 20.0}, "ours": {"warm parents": 6.0, "ingest": 2.5}}}
    tables([Figure("backfill", 160.0, 16.0, 3)], where)
    shown = capsys.readouterr().out
    assert re.search(r"backfill +160\.00 +16\.00 +s +10\.00 +8 +3", shown)
    assert re.search(r"ingest +20\.00 +2\.50", shown)
    assert re.search(r"warm parents +6\.00", shown)


def test_every_promised_figure_can_be_asked_for() -> None:
    assert set(FLOORS) <= set(NAMES)


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(CourseError, match="backfill, backfill-cold"):
        run(["speed"], 1, lambda _: None)


def test_the_readme_explains_every_name() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert [name for name in NAMES if f"| `{name}` |" not in text] == []


def test_bench_is_a_command() -> None:
    assert "bench" in [command.callback.__name__ for command in app.registered_commands if command.callback]
