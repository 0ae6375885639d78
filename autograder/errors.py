"""The one kind of error that a person is shown: what happened, where, and what to do next.

Contract: every failure that a user can cause or mend is raised as `CourseError`. The command line prints
its three parts without a traceback and exits with `exit_code`: 1 when the student's work is not there yet,
2 when the fault is ours or the set-up's.
"""


class CourseError(Exception):
    """A failure that a person can act on.

    Parameters
    ----------
    what
        What happened, in one sentence.
    where
        The file, cell, command or address it happened at.
    todo
        The next step: a command or a change that helps.
    exit_code
        1 for the student's work, 2 for the set-up or for us.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "", exit_code: int = 2) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo
        self.exit_code = exit_code

    def __str__(self) -> str:
        """Return the parts as lines, the empty ones left out."""
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.todo:
            lines.append(f"  to do: {self.todo}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback, which would be through our code only."""
        return [str(self)]
