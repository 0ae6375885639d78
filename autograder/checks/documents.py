"""What students write for people: sections and tables in Markdown.

Contract: headings of any level are taken, in any case of letters, and table rows with or without bold and thousands
separators. What stands in a comment, and the line of a cell that is not written yet, count as nothing. However a text
is written, looking through it takes time in proportion to its length.
"""

import re
from collections.abc import Mapping

NOT_WRITTEN = "raise NotImplementedError()"

_HEADING = re.compile(r"^(#{1,6})[ \t]+([^ \t\n].*)$", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d+[.)])[ \t]+\S", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)

LARGEST_NUMBER = 15
"""Digits: no table has more rows."""


def sections(text: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the body of each wanted section that is there, with those beneath it.

    Parameters
    ----------
    text
        Markdown.
    wanted
        For each section's name the word, in lower case, that its heading has in it.
    """
    # A line of a command that begins with # is no heading.
    masked = _FENCED.sub(lambda match: re.sub(r"^#", " ", match[0], flags=re.MULTILINE), text)
    headings = list(_HEADING.finditer(masked))
    levels = sorted(len(heading[1]) for heading in headings)
    if len(levels) > 1 and levels[0] < levels[1]:  # the document's title
        headings = [heading for heading in headings if len(heading[1]) > levels[0]]
    found: dict[str, str] = {}
    for place, heading in enumerate(headings):
        end = next((other.start() for other in headings[place + 1 :] if len(other[1]) <= len(heading[1])), len(text))
        for name, word in wanted.items():
            if word in heading[2].rstrip(" \t#").lower():
                found.setdefault(name, text[heading.end() : end])
    return found


def words(text: str) -> int:
    """Return how many words a text has."""
    return len(re.findall(r"\w[\w'’.-]*", _written(text)))


def _written(text: str) -> str:
    """Return a text without comments, and without the lines of cells that are not written yet."""
    kept, place = [], 0
    while (begin := text.find("<!--", place)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        kept.append(text[place:begin])
        place = end + len("-->")
    told = "".join([*kept, text[place:]])
    return "\n".join("" if NOT_WRITTEN in line else line for line in told.split("\n"))


def entries(text: str) -> int:
    """Return how many things a text tells of: its list items, rows of a table or sub-headings; else its sentences."""
    text = _written(text)
    items = len(_ITEM.findall(text))
    rows = len([row for row in _ROW.findall(text) if words(row)]) - 1
    told = max(items, rows, len(_HEADING.findall(text)))
    return told if told > 0 else len([part for part in re.split(r"[.!?](?=\s|$)|\n\s*\n", text) if words(part)])


def month_rows(text: str) -> dict[str, list[int]]:
    """Return the whole numbers that stand beside each month in a text's tables, by month (`YYYY-MM`)."""
    found: dict[str, list[int]] = {}
    for line in text.splitlines():
        cells = [cell.strip(" *`_") for cell in line.strip().strip("|").split("|")]
        if len(cells) > 1 and (month := re.fullmatch(r"(\d{4}-\d{2})(-01)?", cells[0])):
            numbers = [re.sub(r"\.0+$|[,. _'’\u00a0\u202f]", "", cell) for cell in cells[1:]]
            found[month[1]] = [int(one) for one in numbers if one.isdecimal() and len(one) <= LARGEST_NUMBER]
    return found
