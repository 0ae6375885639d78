"""What `course grade` shows while it works: a line for each student, and the time left.

Contract: on a terminal a bar stands under the lines; elsewhere there are lines only.
"""

import time
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from autograder.console import err
from autograder.grading.feedback import shown
from autograder.grading.records import Record

OUTCOMES = {
    "graded": "[green]✓[/] graded",
    "student_error": "[red]✗[/] student error",
    "timeout": "[red]✗[/] timeout",
    "out_of_memory": "[red]✗[/] out of memory",
    "tampered": "[red]✗[/] tampered",
    "grader_fault": "[yellow]![/] grader fault",
}


class Telling:
    """Progress of a class run; a context. Its bar is drawn by `tick` alone: workers are forked, and want no threads.

    Parameters
    ----------
    jobs
        How many submissions are observed at once.
    """

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs
        self._bar = Progress(
            TextColumn("observing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"),
            console=err, auto_refresh=False, disable=not err.is_terminal, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("observing", total=None, left="", visible=False)
        self._begun: float | None = None
        self._total = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        """Take the bar away; where it was stopped, say what that means."""
        self._bar.stop()
        if kind and not issubclass(kind, Exception):
            err.print(
                "What was graded is kept. The same command goes on from here, and writes the gradebook at its end.",
                soft_wrap=True,
            )

    def told(self, record: Record, left: int) -> None:
        """Show one student's record; `left` are still to be observed."""
        if self._begun is not None:
            self._bar.update(self._task, completed=self._total - left, left=self._left(left))
        rest = f"  ({self._left(left) or f'{left} to go'})" if left and not err.is_terminal else ""
        err.print(f"{line(record)}{rest}", soft_wrap=True)

    def tick(self, left: int) -> None:
        """Draw the bar again; `left` are still to be observed."""
        if self._begun is None:
            self._begun, self._total = time.monotonic(), left
            self._bar.update(self._task, total=left, visible=True)
            err.print(f"{left} to observe; what is graded is kept, whenever this is stopped.")
        self._bar.refresh()

    def _left(self, left: int) -> str:
        done = self._total - left
        if self._begun is None or not done or not left:
            return ""
        under_way = min(self._jobs, left) / 2  # on average, half of each is done
        minutes = (time.monotonic() - self._begun) / (done + under_way) * (left - under_way) / 60
        return f"{left} to go, about {f'{minutes:.0f} min' if minutes >= 1 else 'a minute'}"


def line(record: Record) -> str:
    """Return one student's line, as rich's markup."""

    def safe(text: str) -> str:
        return escape(shown(" ".join(text.split())))

    parts = [f"{OUTCOMES[record['outcome']]}  {safe(record['student'])}"]
    if record["score"] is not None:
        parts.append(f"{record['score']:g} of {record['max_score']:g}")
    if record["reason"]:
        parts.append(safe(record["reason"]))
    if record["notes"]:
        parts.append(f"{_many(len(record['notes']), 'note')}: {safe(' '.join(record['notes']))}")
    return "  ".join(parts)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
