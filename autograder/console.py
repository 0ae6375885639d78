"""What people see in the terminal: progress, tables, and errors they can act on.

Contract: progress and errors go to stderr, results to stdout; nothing is coloured or animated where the output
is not a terminal or NO_COLOR is set (rich sees to both).
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autograder.errors import CourseError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Progress:
    """Steps of a long job, each told when it begins, with the seconds that it took when it ends."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    @contextlib.contextmanager
    def step(self, name: str, text: str) -> Iterator["Step"]:
        """Show one step until the block ends.

        Parameters
        ----------
        name
            Its key in `seconds`.
        text
            What is done, for the reader.
        """
        started = time.monotonic()
        with err.status(text) if err.is_terminal else contextlib.nullcontext() as status:
            if status is None:
                err.print(text)
            yield Step(text, status)
        self.seconds[name] = round(time.monotonic() - started, 1)
        err.print(f"[green]✓[/] {escape(text)} ({self.seconds[name]} s)")

    @property
    def total(self) -> float:
        """Seconds since the job began."""
        return round(time.monotonic() - self._started, 1)


class Step:
    """A step under way."""

    def __init__(self, text: str, status: object) -> None:
        self._text = text
        self._status = status

    def told(self, line: str) -> None:
        """Say how far the step is: in its place on a terminal, as a line elsewhere."""
        if hasattr(self._status, "update"):
            self._status.update(f"{escape(self._text)}: {escape(line)}")
        else:
            err.print(f"  {escape(line)}")


def show_error(error: CourseError) -> None:
    """Print an error's parts."""
    err.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers are aligned right and get thousands separators."""
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, column in enumerate(columns):
        numeric = all(isinstance(row[place], int | float) for row in rows)
        made.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(f"{value:,}" if isinstance(value, int) else escape(str(value)) for value in row))
    out.print(made)
