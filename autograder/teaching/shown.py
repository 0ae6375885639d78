"""What a notebook cell shows: HTML for a browser, and a text that says the same.

Contract: a `Shown` displays in JupyterLab, VS Code and nbconvert without scripts, and reads in a terminal, on GitHub
and to a screen reader as `text`. Colours stand on a background of their own, so a dark theme does not hide them, and
every colour comes with a word and a sign.
"""

from collections.abc import Mapping, Sequence
from html import escape

SIGNS = {
    "success": "✔",
    "failed": "✘",
    "upstream_failed": "⊘",
    "skipped": "↷",
    "running": "▶",
    "queued": "◷",
    "up_for_retry": "↻",
    "up_for_reschedule": "◔",
    "no state yet": "…",
}
"""A sign for each state; any other state has its word alone."""

COLOURS = {
    "success": "#d3f2d3",
    "failed": "#ffd2cc",
    "upstream_failed": "#ffe3b8",
    "skipped": "#f6d9ee",
    "running": "#d5f5d5",
    "up_for_retry": "#fff2b3",
    "up_for_reschedule": "#d5eef2",
}
"""Light backgrounds for black text, each at more than 12:1."""

NEUTRAL = "#eceef1"


class Shown:
    """Something to look at, and the text that says the same.

    Parameters
    ----------
    html
        What a browser shows.
    text
        What everything else shows.
    """

    def __init__(self, html: str, text: str) -> None:
        self.html, self.text = html, text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return both forms, as IPython asks for them."""
        del include, exclude
        return {"text/html": self.html, "text/plain": self.text}


def state_text(state: str | None) -> str:
    """Return a state with its sign, as in `✔ success`."""
    word = state or "no state yet"
    return f"{SIGNS[word]} {word}" if word in SIGNS else word


def colour(state: str | None) -> str:
    """Return a state's background colour."""
    return COLOURS.get(state or "", NEUTRAL)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str,
    colours: Mapping[tuple[int, int], str] | None = None,
) -> Shown:
    """Return a table with a caption; the first column names its rows.

    Parameters
    ----------
    columns
        Heads of the columns.
    rows
        As many values a row; None shows as a dash.
    caption
        A sentence that says what the table shows.
    colours
        Backgrounds by (row, column).
    """
    texts = [["–" if value is None else str(value) for value in row] for row in rows]
    heads = "".join(f'<th scope="col" style="text-align:left">{escape(head)}</th>' for head in columns)
    body = ""
    for number, row in enumerate(texts):
        cells = (_cell(text, place == 0, (colours or {}).get((number, place))) for place, text in enumerate(row))
        body += f"<tr>{''.join(cells)}</tr>"
    html = (
        f'<table><caption style="text-align:left;caption-side:top">{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )
    lines = [list(columns), *([text.replace("\n", "; ") for text in row] for row in texts)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    plain = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return Shown(html, "\n".join([caption, "", *plain]))


def _cell(text: str, head: bool, background: str | None) -> str:
    style = "text-align:left;white-space:pre-wrap" + (f";background:{background};color:#000" if background else "")
    kind, scope = ("th", ' scope="row"') if head else ("td", "")
    return f'<{kind}{scope} style="{style}">{escape(text)}</{kind}>'
