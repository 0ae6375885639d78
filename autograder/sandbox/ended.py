"""How a submission is ended that does not end as it should."""

from collections.abc import Callable
from typing import Literal

from autograder.errors import CourseError

Outcome = Literal["student_error", "timeout", "out_of_memory", "tampered"]

End = Callable[[Outcome, str, str], None]
"""Ends a submission: an outcome, the reason, and what its author can do."""


class Ended(CourseError):  # noqa: N818 - it is the submission that has ended
    """A submission was ended: `outcome` is its verdict as a whole."""

    def __init__(self, outcome: Outcome, reason: str, todo: str) -> None:
        super().__init__(reason, todo=todo, exit_code=1)
        self.outcome = outcome
        self.reason = f"{reason} {todo}"
