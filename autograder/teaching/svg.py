"""Pictures as SVG: boxes, bars, lines and words, with a title and a sentence that says the same.

Contract: `picture` returns a `Shown` whose SVG is an image with an accessible name and description, and whose
sentence stands below it. Sizes are in pixels; nothing is loaded from elsewhere.
"""

import itertools
from collections.abc import Sequence
from html import escape

from autograder.teaching.shown import Shown

CHARACTER = 7.3
"""Width of a character of `text`, about."""

_numbers = itertools.count(1)


def picture(parts: Sequence[str], width: float, height: float, title: str, sentence: str) -> Shown:
    """Return a picture of parts.

    Parameters
    ----------
    parts
        What `box`, `text` and `line` returned.
    width, height
        Its size.
    title
        Its name, a few words.
    sentence
        What it shows, in words.
    """
    number = next(_numbers)  # ids must differ among the pictures of a page
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#333"/></marker></defs>'
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t{number} d{number}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" style="max-width:100%;background:#fff"'
        f' font-family="ui-monospace,monospace" font-size="12"><title id="t{number}">{escape(title)}</title>'
        f'<desc id="d{number}">{escape(sentence)}</desc>{arrow}<rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>"
    )
    caption = f'<figcaption style="white-space:pre-wrap">{escape(sentence)}</figcaption>'
    return Shown(f'<figure style="margin:0.5em 0">{svg}{caption}</figure>', f"{title}\n{sentence}")


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    """Return a box with a dark edge."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="3"'
        f' fill="{fill}" stroke="#333"/>'
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Return words at a baseline."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#000">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a thin grey line."""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#999" fill="none"/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a curved arrow from left to right."""
    middle = (x1 + x2) / 2
    curve = f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{curve}" stroke="#333" fill="none" marker-end="url(#arrow)"/>'
