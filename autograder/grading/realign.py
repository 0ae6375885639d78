"""A student's notebook, put right by the grade_id of its cells.

Contract: `read_notebook` understands what editors and mail make of a notebook. `realign` returns a notebook in
which every cell with a grade_id of the release notebook is there once: set-up and grade cells as released, solution
cells with the student's text. Each repair is a note. `harmless` is what may be shown of it as a web page. Pure
functions on documents; nothing of a notebook is run.
"""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.errors import CourseError

Notebook = dict[str, Any]

NEWEST_MINOR = 5
"""Of nbformat 4."""

DEEPEST = 100
"""Lists and objects within each other; programs that copy and write a notebook go no deeper than some hundreds."""

_BOMS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
         b"\xef\xbb\xbf": "utf-8-sig"}  # fmt: skip
_TARGET = re.compile(r"\A\s*%%(?:writefile|file)\s+(?:-a\s+|--append\s+)?['\"]?([^\s'\"]+)")


def read_notebook(path: Path) -> tuple[Notebook, list[str]]:
    """Read a notebook of any encoding and format that can be understood, and tell what was unusual.

    Raises
    ------
    CourseError
        When it is no notebook.
    """
    notes: list[str] = []
    body = path.read_bytes()
    try:
        encoding = next((name for bom, name in _BOMS.items() if body.startswith(bom)), None)
        if encoding is None and b"\0" in body[:4]:
            encoding = "utf-16-le" if body[1:2] == b"\0" else "utf-16-be"
        if encoding:
            notes.append(f"The notebook was saved as {encoding.upper()}, and read as that; notebooks are UTF-8.")
        notebook = json.loads(body.decode(encoding or "utf-8"))
        if not isinstance(notebook, dict):
            raise TypeError("it is no JSON object")
        if _is_deeper(notebook, DEEPEST):
            raise RecursionError
        major, minor = int(notebook.get("nbformat", 4)), int(notebook.get("nbformat_minor", 0))
        if major < 4:
            import nbformat  # slow to import, and seldom needed

            old = nbformat.reads(json.dumps(notebook), as_version=major)
            notebook = json.loads(nbformat.writes(nbformat.convert(old, 4)))
            notes.append(f"The notebook was of nbformat {major}, and was converted to 4.")
        elif major > 4:
            raise ValueError(f"it is of nbformat {major}, which this course does not know")
        elif minor > NEWEST_MINOR:
            notes.append(f"The notebook is of nbformat 4.{minor}, and was read as 4.{NEWEST_MINOR}.")
        notebook["cells"] = [_cell(one) for one in notebook["cells"]]
    except RecursionError as error:
        raise _unreadable(path, "it is nested too deeply") from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(notebook.get("metadata"), dict):
        notebook["metadata"] = {}
    return notebook | {"nbformat": 4, "nbformat_minor": NEWEST_MINOR}, notes


def _is_deeper(document: object, most: int) -> bool:
    level = [document]
    for _ in range(most):
        inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [one for values in inside for one in values]
    return bool(level)


def _unreadable(path: Path, why: str) -> CourseError:
    return CourseError(
        f"The notebook cannot be read: {why}.",
        where=path.name,
        todo="Open it in JupyterLab, save it, and hand that in.",
        exit_code=1,
    )


def _cell(one: Any) -> dict[str, Any]:  # noqa: ANN401 - what a student wrote
    kind = one["cell_type"] if one["cell_type"] in ("code", "markdown", "raw") else "raw"
    metadata = one.get("metadata")
    cell = {
        "cell_type": kind,
        "id": str(one.get("id", ""))[:64],
        "metadata": metadata if isinstance(metadata, dict) else {},
        "source": text_of(one.get("source", "")),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def text_of(source: Any) -> str:  # noqa: ANN401 - what a student wrote
    """Return a cell's text; nbformat allows it in lines as well."""
    return source if isinstance(source, str) else "".join(map(str, source))


def grade_id(cell: Mapping[str, Any]) -> str | None:
    """Return a cell's grade_id, if it is nbgrader's."""
    own = cell["metadata"].get("nbgrader")
    found = own.get("grade_id") if isinstance(own, dict) else None
    return found if isinstance(found, str) else None


def target(cell: Mapping[str, Any]) -> str | None:
    """Return the file that a cell writes."""
    found = _TARGET.match(cell["source"])
    return found[1].removeprefix("./") if found else None


def solutions(release: Notebook) -> dict[str, dict[str, Any]]:
    """Return a release notebook's solution cells by grade_id."""
    return {
        str(grade_id(cell)): cell
        for cell in release["cells"]
        if (cell["metadata"].get("nbgrader") or {}).get("solution")
    }


def realign(notebook: Notebook, release: Notebook) -> tuple[Notebook, list[str]]:
    """Put a student's notebook right by the release notebook.

    Parameters
    ----------
    notebook, release
        As `read_notebook` returns them.

    Returns
    -------
    tuple
        The notebook, and the notes on what was repaired.
    """
    notes: list[str] = []
    ours = {name: cell for cell in release["cells"] if (name := grade_id(cell))}
    answers = solutions(release)
    given = _given(notebook, ours, answers, notes)
    cells: list[dict[str, Any]] = []
    done: set[str] = set()
    for cell, name in given:
        if name is None:
            cells.append(_own(cell))
        elif name in answers:
            texts = [one for one, theirs in given if theirs == name]
            if name not in done:
                cells.append(_answer(texts, answers[name], notes))
        else:
            if name in done:
                notes.append(f"A copy of the cell {name} was left out.")
            elif cell["source"].strip() != ours[name]["source"].strip() or cell["cell_type"] != ours[name]["cell_type"]:
                notes.append(f"The cell {name} was changed; it is as released again.")
            if name not in done:
                cells.append(copy.deepcopy(ours[name]))
        if name:
            done.add(name)
    _add_missing(cells, ours, answers, notes)
    return {**notebook, "metadata": copy.deepcopy(release["metadata"]), "cells": _with_ids(cells)}, notes


def _given(
    notebook: Notebook, ours: Mapping[str, Any], answers: Mapping[str, Any], notes: list[str]
) -> list[tuple[dict[str, Any], str | None]]:
    """Pair the student's cells with our names; an answer that lost its name is known by the file that it writes."""
    given = [(cell, name if (name := grade_id(cell)) in ours else None) for cell in notebook["cells"]]
    present = {name for _, name in given}
    for name in [name for name in answers if name not in present]:
        wanted = target(answers[name])
        for place, (cell, theirs) in enumerate(given):
            if theirs is None and wanted and target(cell) == wanted:
                given[place] = (cell, name)
                lost = grade_id(cell)
                how = f"was called {lost!r}" if lost else "had lost its name"
                notes.append(f"The cell {name} {how}; it was known by {wanted}, which it writes.")
    return given


def _answer(texts: list[dict[str, Any]], released: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    name, stub = grade_id(released), released["source"].strip()
    if any(cell["cell_type"] != released["cell_type"] for cell in texts):
        notes.append(f"The cell {name} was made another kind of cell; it is {released['cell_type']} again.")
    sources = [cell["source"] for cell in texts]
    if len(sources) > 1:
        written = [text for text in sources if text.strip() and text.strip() != stub] or sources[:1]
        whole: list[str] = []
        for text in written:
            if whole and not text.lstrip().startswith("%%"):
                whole[-1] = f"{whole[-1].rstrip()}\n\n{text}"  # the second part of a cell that was split
            else:
                whole.append(text)
        split = len(whole) < len(written)
        notes.append(
            f"The cell {name} was there {len(sources)} times. "
            + ("It had been split, and is one cell again." if split and len(whole) == 1 else "The last one counts.")
        )
        sources = whole
    return {**copy.deepcopy(released), "source": sources[-1]}


def _own(cell: dict[str, Any]) -> dict[str, Any]:
    """Return a cell of the student's, which nbgrader is not to take for one of its own."""
    return {**cell, "metadata": {key: value for key, value in cell["metadata"].items() if key != "nbgrader"}}


def harmless(notebook: Notebook, release: Notebook) -> Notebook:
    """Return a notebook whose cells of a student's own have no HTML in them.

    nbgrader's pages show Markdown and raw cells as they are: a script in one would run in a teacher's browser, as the
    teacher, who may set marks.
    """
    ours = {(cell["cell_type"], cell["source"]) for cell in release["cells"]}
    cells = [
        {**cell, "source": cell["source"].replace("<", "&lt;"), "metadata": _nbgraders(cell), "attachments": {}}
        if cell["cell_type"] != "code" and (cell["cell_type"], cell["source"]) not in ours
        else cell
        for cell in notebook["cells"]
    ]
    return notebook | {"cells": cells}


def _nbgraders(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {"nbgrader": cell["metadata"]["nbgrader"]} if grade_id(cell) else {}


def _add_missing(
    cells: list[dict[str, Any]], ours: Mapping[str, Any], answers: Mapping[str, Any], notes: list[str]
) -> None:
    there = [grade_id(cell) for cell in cells]
    before: str | None = None
    for name, cell in ours.items():
        if name not in there:
            place = there.index(before) + 1 if before else 0
            cells.insert(place, copy.deepcopy(cell))
            there.insert(place, name)
            what = "Nothing was handed in for it" if name in answers else "It is as released again"
            notes.append(f"The cell {name} was missing. {what}.")
        before = name


def _with_ids(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: set[str] = set()
    for place, cell in enumerate(cells):
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", cell.get("id", "")) or cell["id"] in seen:
            cell["id"] = f"cell-{place}"
        seen.add(cell["id"])
    return cells
