"""Markdown pages and text twins: headings, links, pictures.

Contract: `problems` returns a line for each heading out of order, link that leads nowhere within the clone, and picture
without words. Addresses on the internet are not asked.
"""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

_FENCE = re.compile(r"^ *(```+|~~~+)(.*)")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]*(?:\([^()]*\))?[^()\s]*)(?:\s+\"[^\"]*\")?\)")


@dataclass(frozen=True)
class Heading:
    """A heading, its line (from 1) and its level."""

    line: int
    level: int
    text: str


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield a text's lines outside of its head, its code and its comments, numbered from 1."""
    fence, head = "", text.startswith("---\n")
    for number, line in enumerate(text.splitlines(), 1):
        if head:
            head = number == 1 or line != "---"
            continue
        if match := _FENCE.match(line):
            if not fence:
                fence = match[1]
            elif match[1].startswith(fence) and not match[2].strip():
                fence = ""
            continue
        if not fence:
            yield number, re.sub(r"``.*?``|`[^`]*`", "", line)


def headings(text: str) -> list[Heading]:
    """Return a text's headings, as they read."""
    lines = text.splitlines()
    found = []
    for number, line in prose(text):
        if match := re.match(r"(#{1,6}) +\S", line):
            found.append(Heading(number, len(match[1]), lines[number - 1].lstrip("#").strip().replace("`", "")))
    return found


def anchors(path: Path) -> set[str]:
    """Return what a link may name after `#` on a page: as GitHub makes it, and of a notebook as JupyterLab does."""
    text = path.read_text(encoding="utf-8")
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for head in headings(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head.text)
        found |= {anchor(words), words.replace(" ", "-")}
    return found


def anchor(heading: str) -> str:
    """Return what GitHub lets a link name for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def problems(path: Path, root: Path, planned: Set[Path] = frozenset()) -> list[str]:
    """Return what is wrong on a page, each line beginning with `:LINE:`.

    Parameters
    ----------
    path
        The page.
    root
        The clone.
    planned
        Files that a link may name though they are not there, because their absence is told elsewhere.
    """
    text = path.read_text(encoding="utf-8")
    return [*_heading_order(text), *_links(text, path, root, planned), *_pictures(text)]


def _heading_order(text: str) -> Iterator[str]:
    found = headings(text)
    if not found or found[0].level != 1:
        yield ":1: a page begins with a heading of the first level."
    before = 0
    for head in found:
        if head.level == 1 and before:
            yield f":{head.line}: a second heading of the first level."
        if head.level > before + 1:
            yield f":{head.line}: this heading skips a level."
        before = head.level


def _links(text: str, path: Path, root: Path, planned: Set[Path]) -> Iterator[str]:
    for number, line in prose(text):
        for bang, words, target in _LINK.findall(line):
            if bang and not words.strip():
                yield f":{number}: this picture has no alternative text."
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / unquote(file)).resolve() if file else path
            if there in planned and not there.exists():
                continue
            if not there.exists() or not there.is_relative_to(root.resolve()):
                yield f":{number}: the link to {target} leads nowhere."
                continue
            twin = there.with_suffix(".md") if there.suffix == ".ipynb" else there
            if anchor and twin.suffix == ".md" and unquote(anchor) not in anchors(twin):
                yield f":{number}: {file or 'this page'} has no heading for #{anchor}."
        for picture in re.findall(r"<img\b[^>]*>", line):
            if not re.search(r'\balt="[^"]+"', picture):
                yield f":{number}: this picture has no alternative text."


def _pictures(text: str) -> Iterator[str]:
    """Look for Mermaid pictures that no sentence follows."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if re.match(r"```+(\{?mermaid\}?)\s*$", line):
            end = next((place for place in range(number, len(lines)) if lines[place].startswith("```")), len(lines))
            after = next((one for one in lines[end + 1 :] if one.strip()), "")
            if not re.match(r"[\w\"*`(]", after):
                yield f":{number}: below this Mermaid picture should stand a sentence that says the same."
