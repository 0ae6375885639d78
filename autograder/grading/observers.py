"""How submissions are observed: for real, in a sandbox or without one.

Contract: an `Observer` says how it observes (`stamp` goes into the name of the evidence), opens what its workers share,
and forgets what is on record of a project that is to be observed anew.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autograder.airflow_local.local import Shared
from autograder.airflow_local.session import Session
from autograder.grading.workers import Observe
from autograder.observe import evidence
from autograder.paths import STATE
from autograder.sandbox import Limits, Sandbox, forget_environment

LIMIT_S = 900.0
"""Seconds that one submission may take."""

GRACE_S = 120.0
"""Seconds beyond it in which a sandbox has ended what did not end by itself."""


class Observer(Protocol):
    """What a class run needs to observe submissions."""

    @property
    def limit_s(self) -> float:
        """Seconds that one submission may take."""

    def stamp(self) -> str:
        """Return a name for everything that the evidence depends on, but the submission and the student."""

    def opened(self, session: Session) -> contextlib.AbstractContextManager[Observe]:
        """Start what workers share, and return what observes, for forked processes."""

    def forget(self, project: Path, student: str) -> None:
        """Remove what is on record of a project, so that it is observed anew."""


@dataclass(frozen=True)
class RealObserver:
    """Observes on a real Airflow.

    Parameters
    ----------
    sandboxed
        Whether a student's code runs in a sandbox.
    limit_s
        Seconds that one submission may take.
    """

    sandboxed: bool = True
    limit_s: float = LIMIT_S

    def stamp(self) -> str:
        """Return a name for the programs, the grading secret, and whether there is a sandbox."""
        with tempfile.TemporaryDirectory(prefix="course-stamp-") as empty:
            return f"{evidence.digest(Path(empty), '')} {self.sandboxed}"

    @contextlib.contextmanager
    def opened(self, session: Session) -> Iterator[Observe]:
        """Start Postgres and the warm parents; what this process's environment holds is forgotten before, for good."""
        if self.sandboxed:
            forget_environment()
        shared = Shared.start(session)
        for program in shared.commands.parents:  # a forked process cannot wait for what is not its own child
            shared.commands.wait(program)

        def observe(project: Path, student: str) -> dict[str, object]:
            if not self.sandboxed:
                return evidence.observed(project, student, shared=shared)
            with Sandbox(Limits(seconds=self.limit_s)) as sandbox:
                return evidence.observed(project, student, shared=shared, sandbox=sandbox)

        yield observe

    def forget(self, project: Path, student: str) -> None:
        """Remove every record of the project."""
        for path in (STATE / "evidence").glob(f"{evidence.digest(project, student)}.*"):
            path.unlink(missing_ok=True)
