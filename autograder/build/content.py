"""What must hold of the course's content beyond being built: the self-check behind `course build --check`.

Contract: `findings` returns a line for each thing that is wrong, each with its place and what should be there; it
writes and runs nothing. `disagreements` compares the manifest with the disk, both ways.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograder import exercises
from autograder.build import markdown
from autograder.build.notebooks import Notebook, parse
from autograder.errors import CourseError
from autograder.headless import asks_for
from autograder.manifest import Chapter, Course
from autograder.quiz import load as load_quiz

SECTIONS = ("Exercises", "Knowledge check", "Key points")
"""Headings that every chapter has, in this order, at its end."""

PARAMETERS = ("student", "data")
"""What a headless run sets in each notebook."""

LEAST_EXERCISES = 2
GLOSSARY = "docs/glossary.md"
SHORT = 40
"""Characters below which a solution's cell is too short to tell from ordinary text."""


def disagreements(root: Path, course: Course) -> list[str]:
    """Return where the manifest and the disk differ: chapters, exercises and quizzes, both ways."""
    wanted = {(root / one.file).with_suffix(".md") for one in course.chapters}
    wanted |= {root / "exercises" / f"{one.id}.yaml" for one in course.chapters}
    wanted |= {root / "quiz" / f"chapter_{one.id}.yaml" for one in course.chapters}
    there = {*(root / "notebooks").glob("*.md"), *(root / "exercises").glob("*"), *(root / "quiz").glob("chapter_*")}
    return [
        *(f"{_name(path, root)} is missing, though course.yaml lists its chapter." for path in sorted(wanted - there)),
        *(f"{_name(path, root)} belongs to no chapter of course.yaml." for path in sorted(there - wanted)),
    ]


def findings(root: Path, course: Course) -> list[str]:
    """Return what is wrong with the chapters that are there, the pages, the exercises and the DAG files."""
    pages = [path for path in _pages(root) if path.is_file()]
    planned = {(root / one.file).resolve() for one in course.chapters}
    lines = [f"{_name(path, root)}{line}" for path in pages for line in markdown.problems(path, root, planned)]
    for place, chapter in enumerate(course.chapters):
        if (twin := (root / chapter.file).with_suffix(".md")).is_file():
            later = course.chapters[place + 1] if place + 1 < len(course.chapters) else None
            lines += [f"{_name(twin, root)}: {line}" for line in _of_chapter(root, twin, chapter, later)]
    if (root / GLOSSARY).is_file():
        lines += [f"{GLOSSARY}: {line}" for line in _of_glossary(root, course)]
    lines += [f"{_name(path, root)}{line}" for path in _checkers(root) for line in asserts_without_message(path)]
    lines += _leaks(root, course, [*pages, *(root / "dags").rglob("*.py")])
    for path in sorted((root / "dags").rglob("*.py")):
        try:
            ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            lines.append(f"{_name(path, root)}:{error.lineno}: Python cannot read it: {error.msg}.")
    return lines


def _of_chapter(root: Path, twin: Path, chapter: Chapter, later: Chapter | None) -> Iterator[str]:
    text = twin.read_text(encoding="utf-8")
    notebook = parse(text, twin)
    heads = [head.text for head in markdown.headings(text)]
    if heads[:1] != [chapter.title]:
        yield f"its first heading should be {chapter.title!r}, as in course.yaml."
    for wanted in ("**You will be able to**", "**Contents**", f"**Time:** about {chapter.minutes} minutes"):
        if wanted not in text:
            yield f"it should say {wanted!r}."
    tagged = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not tagged:
        yield "no cell is tagged `parameters`."
    for name in PARAMETERS:
        if tagged and not re.search(rf"^{name} = ", tagged[0], re.MULTILINE):
            yield f"its cell tagged `parameters` has no {name}."
    if [head for head in heads if head in SECTIONS] != list(SECTIONS):
        yield f"it should have the sections {', '.join(SECTIONS)}, in this order."
    if f'quiz("{chapter.id}")' not in text:
        yield f'no cell shows its knowledge check, quiz("{chapter.id}").'
    if later and f"]({Path(later.file).name})" not in text.partition("\nNext: ")[2]:
        yield f"its end should link to the next chapter: Next: [{later.title}]({Path(later.file).name})"
    yield from _of_exercises(root, notebook, chapter)


def _of_exercises(root: Path, notebook: Notebook, chapter: Chapter) -> Iterator[str]:
    try:
        there = exercises.load(chapter.id, root / "exercises")
    except CourseError as error:
        yield str(error)
        return
    if len(there) < LEAST_EXERCISES:
        yield f"it has {len(there)} exercise; a chapter has {LEAST_EXERCISES} or more."
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for one in there:
        if (cells := sum(asks_for(source, one.id) for source in sources)) != 1:
            yield f'{cells} cells check exercise {one.id}; write exercise("{one.id}", …) in one cell.'
        try:
            exercises.checker(one.id)
        except CourseError as error:
            yield str(error)
    known = {one.id for one in there}
    for asked in re.findall(r'^exercise\("([^"]+)"', "\n".join(sources), re.MULTILINE):
        if asked not in known:
            yield f"it checks exercise {asked}, which exercises/{chapter.id}.yaml does not have."


def _of_glossary(root: Path, course: Course) -> Iterator[str]:
    """Look whether each term is linked first from the chapter that lists it, and in the order of the list."""
    listed: dict[str, list[str]] = {}
    for head in markdown.headings((root / GLOSSARY).read_text(encoding="utf-8")):
        if head.level == 2:
            of_chapter = listed.setdefault(head.text, [])
        elif head.level == 3:
            of_chapter.append(markdown.anchor(head.text))
    linked: list[str] = []
    for chapter in course.chapters:
        twin = (root / chapter.file).with_suffix(".md")
        name = f"Chapter {int(chapter.id)}: {chapter.title}" if chapter.id.isdigit() else ""
        terms = listed.pop(name, [])
        links = re.findall(r"\]\(\.\./docs/glossary\.md#([^)]+)\)", twin.read_text(encoding="utf-8"))
        first = [one for one in dict.fromkeys(links) if one not in linked]
        linked += first
        for term in terms:
            if term not in first:
                yield f"{term} is listed under {name}, where it is not linked for the first time."
        for term in first:
            if term not in terms:
                yield f"{term} is linked for the first time in {twin.name}, and listed under another chapter."
        if sorted(first) == sorted(terms) and first != terms:
            yield f"the terms of {name} should be in the order of their first links: {', '.join(first)}."
    for name in listed:
        yield f"{name!r} is no chapter of course.yaml."


def asserts_without_message(path: Path) -> list[str]:
    """Return the places of a Python file's asserts that say nothing to whoever fails them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f":{node.lineno}: this assert has no message."
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and node.msg is None
    ]


def _leaks(root: Path, course: Course, files: Sequence[Path]) -> list[str]:
    """Return where a solution or the explanation of a right answer stands in what students read."""
    answers: dict[str, str] = {}
    for chapter in course.chapters:
        if (root / "exercises" / f"{chapter.id}.yaml").is_file():
            for one in exercises.load(chapter.id, root / "exercises"):
                answers |= {_plain(cell): f"the solution of exercise {one.id}" for cell in one.solution}
    for path in sorted((root / "quiz").glob("*.yaml")):
        for question in load_quiz(path).questions:
            told = [option.explanation for option in question.options if option.correct] or [question.answer]
            answers |= {_plain(text): f"the answer to {path.stem}'s question {question.id}" for text in told}
    texts = {path: _plain(path.read_text(encoding="utf-8")) for path in files}
    return [
        f"{_name(path, root)} holds {what}. Students read this file."
        for path, text in texts.items()
        for answer, what in answers.items()
        if len(answer) >= SHORT and answer in text
    ]


def _plain(text: str) -> str:
    """Return a text without what differs between a cell and the file that it writes, and without line breaks."""
    return " ".join(re.sub(r"^%%writefile.*\n", "", text).split())


def _pages(root: Path) -> Iterator[Path]:
    yield from sorted((root / "notebooks").glob("*.md"))
    yield from sorted((root / "docs").rglob("*.md"))
    yield from sorted(root.glob("*.md"))


def _checkers(root: Path) -> list[Path]:
    return sorted((root / "autograder" / "exercises").glob("*.py"))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
