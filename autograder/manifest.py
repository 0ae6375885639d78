"""The manifest, course.yaml: chapters, tiers, checks, points and hints, read once and validated.

Contract: `load()` returns a `Course` whose parts agree with each other (every check names a tier and a
chapter that exist, has points and three hints), or raises `CourseError` with the file, the line and the key.
A key that the manifest doesn't know is an error, so a misspelled one is not overlooked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import CourseError
from autograder.paths import MANIFEST
from autograder.yaml_file import Entry, read

DAG_FILE = "dags/taxi_pipeline.py"
"""What a student changes to pass a check that names no other file."""

HINTS = 3
"""Hints that every check has, from a question to nearly the answer."""


@dataclass(frozen=True)
class Chapter:
    """A chapter: its notebook's path within the clone, and the minutes that it takes."""

    id: str
    file: str
    title: str
    minutes: int


@dataclass(frozen=True)
class Tier:
    """A part of the assignment."""

    id: str
    title: str


@dataclass(frozen=True)
class Check:
    """One thing that a submission is checked for.

    `file` is what the student changes to pass it. Only the `visible` ones are run before grading.
    """

    id: str
    tier: str
    points: int
    title: str
    looked_at: str
    chapter: Chapter
    hints: tuple[str, ...]
    file: str = DAG_FILE
    visible: bool = True

    @property
    def grade_id(self) -> str:
        """The check's name as an nbgrader cell."""
        return self.id.replace(".", "-")


@dataclass(frozen=True)
class Course:
    """The whole manifest."""

    title: str
    assignment: str
    chapters: tuple[Chapter, ...]
    tiers: tuple[Tier, ...]
    checks: tuple[Check, ...]
    pass_points: int = 0

    def chapter(self, chapter_id: str) -> Chapter:
        """Return one chapter, which must be there."""
        return next(chapter for chapter in self.chapters if chapter.id == chapter_id)

    def check(self, check_id: str) -> Check:
        """Return one check.

        Raises
        ------
        CourseError
            When there is no check of that id.
        """
        for check in self.checks:
            if check.id == check_id:
                return check
        raise CourseError(
            f"There is no check called {check_id!r}.",
            todo=f"Use one of: {', '.join(check.id for check in self.checks)}.",
        )

    def checks_of(self, tier: str) -> tuple[Check, ...]:
        """Return a tier's checks, in order."""
        return tuple(check for check in self.checks if check.tier == tier)


def load(path: Path = MANIFEST) -> Course:
    """Read and validate a manifest.

    Raises
    ------
    CourseError
        When the file cannot be read, or a key or value in it is wrong.
    """
    entry = read(path)
    entry.only("title", "chapters", "assignment", "pass_points", "tiers", "checks")
    chapters = tuple(_chapter(one) for one in _unique(entry.entries("chapters")))
    tiers = tuple(_tier(one) for one in _unique(entry.entries("tiers")))
    checks = tuple(_check(one, chapters, tiers) for one in _unique(entry.entries("checks")))
    pass_points = entry.number("pass_points")
    if not 0 < pass_points <= (total := sum(check.points for check in checks)):
        raise entry.error("pass_points", f"{pass_points} is not within the {total} points of all checks")
    return Course(entry.text("title"), entry.text("assignment"), chapters, tiers, checks, pass_points)


def _chapter(entry: Entry) -> Chapter:
    entry.only("id", "file", "title", "minutes")
    return Chapter(entry.text("id"), entry.text("file"), entry.text("title"), entry.number("minutes"))


def _tier(entry: Entry) -> Tier:
    entry.only("id", "title")
    return Tier(entry.text("id"), entry.text("title"))


def _check(entry: Entry, chapters: tuple[Chapter, ...], tiers: tuple[Tier, ...]) -> Check:
    entry.only("id", "points", "title", "looked_at", "file", "visible", "chapter", "hints")
    name = entry.text("id")
    tier = name.partition(".")[0]
    if not re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", name) or tier not in {one.id for one in tiers}:
        raise entry.error("id", f"{name!r} is not a tier's id, a dot, and lower-case words joined by hyphens")
    chapter = {one.id: one for one in chapters}.get(entry.text("chapter"))
    if chapter is None:
        raise entry.error("chapter", f"there is no chapter {entry.text('chapter')!r}")
    hints = entry.texts("hints")
    if len(hints) != HINTS:
        raise entry.error("hints", f"{name} has {len(hints)} hints; every check has {HINTS}")
    return Check(
        name, tier, entry.number("points"), entry.text("title"), entry.text("looked_at"), chapter, hints,
        entry.text("file") if "file" in entry else DAG_FILE, entry.flag("visible"),
    )  # fmt: skip


def _unique(entries: list[Entry]) -> Iterator[Entry]:
    seen: set[str] = set()
    for entry in entries:
        if (name := entry.text("id")) in seen:
            raise entry.error("id", f"{name!r} is there twice")
        seen.add(name)
        yield entry
