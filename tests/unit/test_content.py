"""The course's self-check: on this clone, and on pages with one mistake each."""

from pathlib import Path

import pytest

from autograder.build import content, markdown
from autograder.manifest import Chapter, Course, load
from autograder.paths import ROOT

GOOD = "# A page\n\n## A part, of it\n\nSee [the part](#a-part-of-it) and [there](there.md#a-page).\n"


def test_nothing_is_wrong_with_what_is_there() -> None:
    assert content.findings(ROOT, load()) == []


def problems(folder: Path, text: str) -> list[str]:
    (folder / "there.md").write_text("# A page\n")
    page = folder / "page.md"
    page.write_text(text)
    return markdown.problems(page, folder)


def test_a_good_page_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("good", "bad", "what"),
    [
        ("# A page\n", "A page\n", ":1: a page begins with a heading of the first level."),
        ("## A part", "### A part", ":3: this heading skips a level."),
        ("## A part", "# A part", ":3: a second heading of the first level."),
        ("there.md", "gone.md", ":5: the link to gone.md#a-page leads nowhere."),
        ("there.md#a-page", "there.md#b", ":5: there.md has no heading for #b."),
        ("[the part](#a-part-of-it)", "![](there.md)", ":5: this picture has no alternative text."),
        ("See ", '<img src="x.svg"> ', ":5: this picture has no alternative text."),
        ("See ", "```mermaid\na\n```\n", ":5: below this Mermaid picture should stand a sentence that says the same."),
    ],
)
def test_a_mistake_on_a_page_is_named(tmp_path: Path, good: str, bad: str, what: str) -> None:
    if "mermaid" in bad:
        good, bad = GOOD[GOOD.index("See") :], bad  # nothing follows the picture
    assert what in problems(tmp_path, GOOD.replace(good, bad))


def test_what_stands_in_code_is_no_heading_and_no_link(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD + "\n```python\n# [a](b)\n```\n\nand `[a](b)`.\n") == []


def test_a_link_to_a_planned_file_is_told_elsewhere(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n[later](later.ipynb)\n")
    assert len(markdown.problems(page, tmp_path)) == 1
    assert markdown.problems(page, tmp_path, {tmp_path.resolve() / "later.ipynb"}) == []


def test_a_notebooks_anchors_are_those_of_jupyterlab_too(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n## One run, one month\n")
    assert {"One-run,-one-month", "one-run-one-month"} <= markdown.anchors(page)


def test_an_assert_without_a_message_is_found(tmp_path: Path) -> None:
    file = tmp_path / "checker.py"
    file.write_text('assert 1, "yes"\nassert 2\n')
    assert content.asserts_without_message(file) == [":2: this assert has no message."]


def course(*files: str) -> Course:
    chapters = tuple(Chapter(Path(file).stem[:2], file, "A chapter", 60) for file in files)
    return Course("A course", "assignment", chapters, (), ())


def test_manifest_and_disk_are_compared_both_ways(tmp_path: Path) -> None:
    for folder in ("notebooks", "exercises", "quiz"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notebooks" / "02_stray.md").write_text("")
    (tmp_path / "quiz" / "chapter_03.yaml").write_text("")
    assert content.disagreements(tmp_path, course("notebooks/01_first.ipynb")) == [
        "exercises/01.yaml is missing, though course.yaml lists its chapter.",
        "notebooks/01_first.md is missing, though course.yaml lists its chapter.",
        "quiz/chapter_01.yaml is missing, though course.yaml lists its chapter.",
        "notebooks/02_stray.md belongs to no chapter of course.yaml.",
        "quiz/chapter_03.yaml belongs to no chapter of course.yaml.",
    ]


CHAPTER = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter

**Time:** about 60 minutes.

**You will be able to** read.

**Contents**

```{code-cell} ipython3
:tags: [parameters]

student = "default"
data = ""
```

## Exercises

```{code-cell} ipython3
exercise("04.1")
```

```{code-cell} ipython3
exercise("04.2")
```

```{code-cell} ipython3
exercise("04.3", choose)
```

## Knowledge check

```{code-cell} ipython3
quiz("04")
```

## Key points

Next: [A chapter](05_next.ipynb)
"""


def chapter_findings(root: Path, text: str) -> list[str]:
    for folder in ("notebooks", "quiz"):
        (root / folder).mkdir()
    (root / "exercises").symlink_to(ROOT / "exercises")
    (root / "notebooks" / "04_this.md").write_text(text)
    return content.findings(root, course("notebooks/04_this.ipynb", "notebooks/05_next.ipynb"))


def test_a_chapter_with_everything_passes(tmp_path: Path) -> None:
    assert chapter_findings(tmp_path, CHAPTER) == []


@pytest.mark.parametrize(
    ("good", "bad", "what"),
    [
        ("# A chapter", "# Another", "its first heading should be 'A chapter'"),
        ("60 minutes", "90 minutes", "it should say '**Time:** about 60 minutes'"),
        ("**Contents**", "", "it should say '**Contents**'"),
        ("[parameters]", "[other]", "no cell is tagged `parameters`"),
        ('data = ""', "", "its cell tagged `parameters` has no data"),
        ("## Key points", "## Points", "it should have the sections Exercises, Knowledge check, Key points"),
        ('quiz("04")', "1", 'no cell shows its knowledge check, quiz("04")'),
        ("Next: ", "Later: ", "its end should link to the next chapter"),
        ('exercise("04.2")', "1", "0 cells check exercise 04.2"),
        ('exercise("04.2")', 'exercise("04.9")', "it checks exercise 04.9, which exercises/04.yaml does not have"),
        (
            "**Contents**",
            '**Contents** def choose(loaded, counted): return "report" if loaded == counted else "build_counts"',
            "holds the solution of exercise 04.3. Students read this file.",
        ),
    ],
)
def test_what_a_chapter_lacks_is_named(tmp_path: Path, good: str, bad: str, what: str) -> None:
    assert what in "\n".join(chapter_findings(tmp_path, CHAPTER.replace(good, bad)))


PAGE = "# Glossary\n\n## Chapter 1: A chapter\n\n### cron\n\n### a run\n\n## Chapter 2: A chapter\n\n### ds\n"
CRON, RUN, DS = (f"[it](../docs/glossary.md#{term})\n" for term in ("cron", "a-run", "ds"))


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        (CRON + RUN, DS + CRON, ""),
        (CRON, RUN + DS, "a-run is listed under Chapter 1: A chapter, where it is not linked for the first time."),
        (CRON + RUN + DS, "", "ds is linked for the first time in 01_a.md, and listed under another chapter."),
        (RUN + CRON, DS, "the terms of Chapter 1: A chapter should be in the order of their first links: a-run, cron."),
        (CRON + RUN, "", "ds is listed under Chapter 2: A chapter, where it is not linked for the first time."),
    ],
)
def test_terms_are_listed_where_they_are_linked_first(tmp_path: Path, first: str, second: str, wrong: str) -> None:
    for folder in ("docs", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "docs" / "glossary.md").write_text(PAGE)
    (tmp_path / "notebooks" / "01_a.md").write_text(first)
    (tmp_path / "notebooks" / "02_b.md").write_text(second)
    chapters = course("notebooks/01_a.ipynb", "notebooks/02_b.ipynb")
    found = [line for line in content.findings(tmp_path, chapters) if line.startswith("docs/glossary.md: ")]
    assert bool(found) == bool(wrong)
    assert wrong in "\n".join(found)
