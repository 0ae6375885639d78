"""Pictures: well-formed, named, and told in words."""

from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from autograder.airflow_api import AirflowApi
from autograder.errors import CourseError
from autograder.teaching import pictures, shown


def svg_of(made: shown.Shown) -> ElementTree.Element:
    start, end = made.html.index("<svg"), made.html.index("</svg>") + len("</svg>")
    return ElementTree.fromstring(made.html[start:end])


def words(made: shown.Shown) -> list[str]:
    return [one.text or "" for one in svg_of(made).iter("{http://www.w3.org/2000/svg}text")]


def test_a_graph_has_a_box_for_each_task_and_an_arrow_for_each_dependency() -> None:
    made = pictures.draw_graph("d", {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, None)
    svg = svg_of(made)
    assert words(made) == ["a", "b", "c", "d"]
    assert len([one for one in svg.iter("{http://www.w3.org/2000/svg}path") if one.get("marker-end")]) == 4
    assert str(made) == ("Task graph of d\n4 tasks: a waits for no task; b after a; c after a; d after b and c.")


def test_a_picture_has_a_name_and_a_description() -> None:
    svg = svg_of(pictures.draw_graph("d", {"<a>": []}, {"<a>": "failed"}))
    assert svg.get("role") == "img"
    ids = {one.get("id"): one.text for one in svg if one.tag.endswith(("title", "desc"))}
    named = [ids[one] for one in (svg.get("aria-labelledby") or "").split()]
    assert named == ["Task graph of d", "1 tasks: <a> (✘ failed) waits for no task."]


class Times:
    """Two runs of one task each, one after the other or at once."""

    second = "2024-01-01T00:00:03Z"

    def task_instances(self, dag_id: str, run_id: str = "~") -> list[dict[str, Any]]:
        common = {"task_id": "load", "map_index": -1, "state": "success"}
        return [
            {**common, "dag_run_id": "b", "logical_date": "2024-02-01T00:00:00Z",
             "start_date": self.second, "end_date": "2024-01-01T00:00:04Z"},
            {**common, "dag_run_id": "a", "logical_date": None,
             "start_date": "2024-01-01T00:00:00Z", "end_date": "2024-01-01T00:00:02Z"},
            {**common, "dag_run_id": "c", "logical_date": None, "start_date": None, "end_date": None},
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("second", "order"),
    [("2024-01-01T00:00:03Z", "One after another."), ("2024-01-01T00:00:01Z", "Some at the same time.")],
)
def test_a_gantt_says_whether_runs_overlap(second: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AirflowApi, "from_environment", Times)
    monkeypatch.setattr(Times, "second", second)
    made = pictures.gantt("d")
    assert str(made).endswith(order)
    assert "4.0 s in all: a from 0.0 s to 2.0 s; 2024-02-01T00:00" in str(made)
    assert {"a", "2024-02-01T00:00", "load"} <= set(words(made))


def test_a_gantt_has_every_state_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def instances(self: Times, dag_id: str, run_id: str = "~") -> list[dict[str, Any]]:
        common = {"map_index": -1, "dag_run_id": "a", "logical_date": None, "start_date": "2024-01-01T00:00:00Z"}
        return [
            {**common, "task_id": "long", "state": "success", "end_date": "2024-01-01T00:01:00Z"},
            {**common, "task_id": "short", "state": "failed", "end_date": "2024-01-01T00:00:01Z"},
        ]

    monkeypatch.setattr(AirflowApi, "from_environment", Times)
    monkeypatch.setattr(Times, "task_instances", instances)
    assert {"✔ success", "✘ failed"} <= set(words(pictures.gantt("d", "a")))
    assert "short from 0.0 s to 1.0 s (✘ failed)." in str(pictures.gantt("d", "a"))
    assert "a from 0.0 s to 60.0 s (short ✘ failed)." in str(pictures.gantt("d"))


def test_a_gantt_of_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AirflowApi, "from_environment", Times)
    monkeypatch.setattr(Times, "task_instances", lambda *_: [])
    with pytest.raises(CourseError, match="No task of d has started"):
        pictures.gantt("d")


def test_bars_say_their_numbers() -> None:
    made = pictures.plot_rows(pd.DataFrame({"month": ["2024-01"], "raw_trips": [1234], "fct_trips": [0]}))
    assert "2024-01: 1,234 in raw_trips, 0 in fct_trips." in str(made)
    assert {"1,234", "0", "2024-01"} <= set(words(made))
    assert "No rows yet." in str(pictures.plot_rows(pd.DataFrame(columns=["month", "raw_trips", "fct_trips"])))


def test_a_table_is_the_same_in_html_and_in_text() -> None:
    made = shown.table(["a", "b"], [["<x>", None], ["y", 12]], "Two rows.", {(0, 1): "#fff"})
    assert str(made).splitlines() == ["Two rows.", "", "a    b", "<x>  –", "y    12"]
    assert "&lt;x&gt;" in made.html
    assert made._repr_mimebundle_() == {"text/html": made.html, "text/plain": made.text}


def test_every_state_has_a_word() -> None:
    assert shown.state_text("success") == "✔ success"
    assert shown.state_text("deferred") == "deferred"
    assert shown.state_text(None) == "… no state yet"
