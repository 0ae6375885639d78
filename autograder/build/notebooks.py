"""Notebooks from their text twins.

Contract: the same text gives the same bytes: no outputs, no versions of tools, cell ids from the cells' own
names (`grade_id`, or `name`) or else from their place. nbgrader's metadata stays as it is in the text.
"""

import warnings
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from autograder.errors import CourseError

FORMAT = "md:myst"

Notebook = Any
"""A notebook as nbformat has it; nbformat has no types."""


def parse(text: str, path: Path) -> Notebook:
    """Read a text twin.

    Parameters
    ----------
    text
        MyST Markdown.
    path
        Where it comes from, for the message.

    Raises
    ------
    CourseError
        When it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return jupytext.reads(text, FORMAT)
    except Exception as error:  # jupytext raises whatever its parsers raise, and warns where it guesses
        raise CourseError(f"The notebook's text cannot be read: {error}.", where=str(path)) from error


def to_text(notebook: Notebook, text: str) -> str:
    """Write a text twin back.

    Parameters
    ----------
    notebook
        What `parse` gave, with changed cells.
    text
        The text that it came from, whose head is kept: jupytext would put its version there.
    """
    _, head, _ = text.split("---\n", 2)
    _, _, body = jupytext.writes(notebook, FORMAT).split("---\n", 2)
    return f"---\n{head}---\n{body}"


def to_ipynb(notebook: Notebook, path: Path) -> bytes:
    """Write a notebook as JupyterLab opens it.

    Parameters
    ----------
    notebook
        What `parse` gave.
    path
        Where its text comes from, for the message.

    Raises
    ------
    CourseError
        When two cells have the same name.
    """
    metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    made = nbformat.v4.new_notebook(metadata=metadata, cells=notebook.cells)
    for place, cell in enumerate(made.cells):
        own = cell.metadata.get("nbgrader", {}).get("grade_id") or cell.metadata.get("name")
        cell["id"] = own or f"cell-{place:03d}"
    ids = [cell["id"] for cell in made.cells]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise CourseError(f"Two cells have the same name: {', '.join(twice)}.", where=str(path))
    nbformat.validate(made)
    return f"{nbformat.writes(made)}\n".encode()
