"""Pictures of a DAG, of its runs in time, and of rows in the warehouse.

Contract: each function reads Airflow's records (or takes rows) and returns a `Shown`: an SVG picture, and a sentence
that says the same. Nothing is drawn from what a file says; only from what Airflow stored and did.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

from autograder.airflow_api import AirflowApi, Record
from autograder.errors import CourseError
from autograder.teaching import svg
from autograder.teaching.shown import NEUTRAL, Shown, colour, state_text
from autograder.waiting import seconds

_ROW, _GAP, _BOX, _BESIDE = 26, 44, 40, 150


def task_graph(dag_id: str, run_id: str | None = None) -> Shown:
    """Draw a DAG's tasks and their dependencies, from left to right.

    Parameters
    ----------
    dag_id
        The DAG, as Airflow stored it.
    run_id
        A run whose states are to stand in the boxes; none when not given.
    """
    api = AirflowApi.from_environment()
    downstream = {task["task_id"]: sorted(task["downstream_task_ids"]) for task in api.task_settings(dag_id)}
    states = {one["task_id"]: one["state"] for one in api.task_instances(dag_id, run_id)} if run_id else {}
    return draw_graph(dag_id, {task: downstream[task] for task in api.tasks(dag_id)}, states if run_id else None)


def draw_graph(name: str, downstream: Mapping[str, Sequence[str]], states: Mapping[str, str | None] | None) -> Shown:
    """Draw a graph.

    Parameters
    ----------
    name
        What it is called.
    downstream
        For each task, in an order in which each stands after those that it waits for, the tasks that wait for it.
    states
        Each task's state; None to show none.
    """
    upstream = {task: [one for one in downstream if task in downstream[one]] for task in downstream}
    level: dict[str, int] = {}
    for task in downstream:
        level[task] = max((level[one] + 1 for one in upstream[task]), default=0)
    levels = [
        [task for task in downstream if level[task] == number] for number in range(max(level.values(), default=0) + 1)
    ]
    words = {task: [task, *([state_text(states.get(task))] if states is not None else [])] for task in downstream}
    widths = [max(len(word) for task in tasks for word in words[task]) * svg.CHARACTER + 20 for tasks in levels]
    tall = max(map(len, levels)) * (_BOX + 16)
    place: dict[str, tuple[float, float, float]] = {}
    x = 12.0
    for tasks, width in zip(levels, widths, strict=True):
        top = (tall - len(tasks) * (_BOX + 16)) / 2 + 16
        place |= {task: (x, top + number * (_BOX + 16), width) for number, task in enumerate(tasks)}
        x += width + _GAP
    parts = []
    for task, later in downstream.items():
        left, y, width = place[task]
        parts += [svg.arrow(left + width, y + _BOX / 2, place[one][0], place[one][1] + _BOX / 2) for one in later]
    for task, (left, y, width) in place.items():
        parts.append(svg.box(left, y, width, _BOX, colour(states.get(task)) if states is not None else NEUTRAL))
        step = _BOX / (len(words[task]) + 1)
        parts += [
            svg.text(left + width / 2, y + step * number + 4, word, "middle")
            for number, word in enumerate(words[task], 1)
        ]
    return svg.picture(parts, x - _GAP + 12, tall + 16, f"Task graph of {name}", _graph_sentence(upstream, states))


def _graph_sentence(upstream: Mapping[str, Sequence[str]], states: Mapping[str, str | None] | None) -> str:
    def named(task: str) -> str:
        return task if states is None else f"{task} ({state_text(states.get(task))})"

    told = [
        f"{named(task)} after {' and '.join(before)}" if before else f"{named(task)} waits for no task"
        for task, before in upstream.items()
    ]
    return f"{len(upstream)} tasks: {'; '.join(told)}."


def gantt(dag_id: str, run_id: str | None = None, *, run_type: str = "") -> Shown:
    """Draw when tasks ran: a bar for each task of one run, or a row for each run with its tasks one after the other.

    Parameters
    ----------
    dag_id
        The DAG.
    run_id
        The run; all runs of the DAG when not given.
    run_type
        Of all runs, only those of this type, such as `backfill`: runs of other days would make their bars too short.

    Raises
    ------
    CourseError
        When no task has started.
    """
    api = AirflowApi.from_environment()
    begun = [one for one in api.task_instances(dag_id, run_id or "~") if one["start_date"]]
    if run_type:
        chosen = {run["dag_run_id"] for run in api.runs(dag_id) if run["run_type"] == run_type}
        begun = [one for one in begun if one["dag_run_id"] in chosen]
    if not begun:
        raise CourseError(f"No task of {dag_id} has started yet.", todo="Trigger a run, and wait for it.", exit_code=1)
    begun.sort(key=lambda one: seconds(one["start_date"]))
    rows: dict[str, list[Record]] = {}
    for one in begun:
        rows.setdefault(_task_name(one) if run_id else _run_name(one), []).append(one)
    first = seconds(begun[0]["start_date"])
    last = max(_end(one) for one in begun)
    left = max(map(len, rows)) * svg.CHARACTER + 24
    scale = 560 / max(last - first, 0.1)
    parts = []
    for number, (name, ones) in enumerate(rows.items()):
        y = 12 + number * _ROW
        parts.append(svg.text(12, y + 14, name))
        for one in ones:
            x = left + (seconds(one["start_date"]) - first) * scale
            width = (_end(one) - seconds(one["start_date"])) * scale
            parts.append(svg.box(x, y, width, _ROW - 8, colour(one["state"])))
            label = state_text(one["state"]) if run_id else one["task_id"]
            if len(label) * svg.CHARACTER < width:
                parts.append(svg.text(x + 4, y + 13, label))
            elif run_id:  # beside the bar, where the row has no other
                parts.append(svg.text(x + max(width, 1) + 6, y + 13, label))
    bottom = 12 + len(rows) * _ROW
    for tick in range(5):
        x = left + tick * 140
        parts += [svg.line(x, 8, x, bottom), svg.text(x, bottom + 16, f"{(last - first) * tick / 4:.1f} s", "middle")]
    title = f"{dag_id}: when the tasks of {run_id or 'each run'} ran"
    beside = _BESIDE if run_id else 40
    return svg.picture(parts, left + 560 + beside, bottom + 28, title, _gantt_sentence(rows, first, last))


def _gantt_sentence(rows: Mapping[str, Sequence[Record]], first: float, last: float) -> str:
    told = []
    for name, ones in rows.items():
        start, end = seconds(ones[0]["start_date"]) - first, max(map(_end, ones)) - first
        other = [(one["task_id"], state_text(one["state"])) for one in ones if one["state"] != "success"]
        states = ", ".join(state if _task_name(ones[0]) == name else f"{task} {state}" for task, state in other)
        told.append(f"{name} from {start:.1f} s to {end:.1f} s" + (f" ({states})" if states else ""))
    spans = [(seconds(ones[0]["start_date"]), max(map(_end, ones))) for ones in rows.values()]
    apart = all(one[1] <= other[0] for one, other in pairwise(sorted(spans)))
    order = "" if len(rows) < 2 else " One after another." if apart else " Some at the same time."
    return f"{last - first:.1f} s in all: {'; '.join(told)}.{order}"


def _end(task: Record) -> float:
    return seconds(task["end_date"] or task["start_date"])


def _task_name(task: Record) -> str:
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


def _run_name(task: Record) -> str:
    return str(task["logical_date"] or task["dag_run_id"])[:16]


def plot_rows(rows: pd.DataFrame) -> Shown:
    """Draw a table from `rows_per_month` as bars: for each month raw_trips and fct_trips."""
    tables = [column for column in rows.columns if column != "month"]
    most = max(int(rows[tables].max().max()), 1) if len(rows) else 1
    left = 7 * svg.CHARACTER + max(map(len, tables)) * svg.CHARACTER + 36
    parts, told = [], []
    for number, row in enumerate(rows.to_dict("records")):
        y = 12 + number * (len(tables) * 18 + 12)
        parts.append(svg.text(12, y + 13, row["month"]))
        for place, one in enumerate(tables):
            count = int(row[one])
            top = y + place * 18
            parts += [svg.text(left - 8, top + 13, one, "end")]
            parts += [svg.box(left, top, count / most * 420, 16, ("#9ecae1", "#fdd0a2")[place % 2])]
            parts += [svg.text(left + count / most * 420 + 6, top + 13, f"{count:,}")]
        told.append(f"{row['month']}: {', '.join(f'{int(row[one]):,} in {one}' for one in tables)}")
    height = 12 + len(rows) * (len(tables) * 18 + 12)
    sentence = f"Rows by month of pickup. {'; '.join(told)}." if told else "No rows yet."
    return svg.picture(parts, left + 520, height + 8, "Trips in the warehouse", sentence)
