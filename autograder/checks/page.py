"""Verdicts as a table that a notebook shows.

Contract: one HTML table with a caption and headed rows and columns. The outcome is a symbol and a word, never a colour
alone. A frontend that shows no HTML shows the same as text.
"""

from collections.abc import Sequence
from html import escape

from autograder.checks.feedback import AT_GRADING, NOTEBOOK, OUTCOMES, Place, summary
from autograder.checks.report import progress, so_far
from autograder.checks.verdict import Verdict
from autograder.manifest import Course


class Page:
    """Verdicts of all checks, to be shown as a notebook cell's output.

    Parameters
    ----------
    verdicts
        Those of the checks that were run.
    course
        The manifest; its other checks are told of as checked at grading.
    """

    def __init__(self, verdicts: Sequence[Verdict], course: Course) -> None:
        self._verdicts, self._course = verdicts, course

    def __repr__(self) -> str:
        """Return the table as text."""
        return summary(self._verdicts, self._course, NOTEBOOK)

    def _repr_html_(self) -> str:
        run = {verdict.id: verdict for verdict in self._verdicts}
        rows = []
        for tier in self._course.tiers:
            rows.append(f'<tr><th scope="rowgroup" colspan="4" style="text-align:left">{escape(tier.title)}</th></tr>')
            for check in self._course.checks_of(tier.id):
                cells = _cells(run.get(check.id), check.points, NOTEBOOK, check.id)
                told = "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in cells)
                rows.append(f'<tr><th scope="row" style="text-align:left">{escape(check.id)}</th>{told}</tr>')
        heads = "".join(
            f'<th scope="col" style="text-align:left">{head}</th>'
            for head in ("Check", "Outcome", "Points", "What next")
        )
        caption = f"{progress(self._verdicts, self._course)}. {so_far(self._verdicts, self._course)}"
        return (
            f'<table><caption style="text-align:left">{escape(caption)}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )


def _cells(verdict: Verdict | None, points: int, place: Place, check_id: str) -> tuple[str, str, str]:
    if verdict is None:
        return AT_GRADING, f"{points} at grading", place.hint.format(id=check_id, number=1)
    told = "" if verdict.verdict == "pass" else verdict.message
    if verdict.verdict == "not_yet":
        told = f'{told} See check("{check_id}").'
    return OUTCOMES[verdict.verdict], f"{verdict.earned} of {verdict.points}", told
