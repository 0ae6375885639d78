"""Do the pages in docs/, and the files around them, agree with what they are about?"""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from autograder.manifest import load
from autograder.paths import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CHAPTERS = [chapter for chapter in load().chapters if chapter.id.isdigit()]


def headings(page: Path, level: int) -> list[str]:
    """Return a page's headings of one level, those in fenced code left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in PAGES if page.name != "README.md" and f"]({page.name})" not in index]
    assert not missing, f"docs/README.md does not name {missing}"


def test_the_glossary_has_a_part_for_each_chapter_in_order() -> None:
    assert headings(DOCS / "glossary.md", 2) == [f"Chapter {int(one.id)}: {one.title}" for one in CHAPTERS]


def test_the_glossary_defines_a_term_once() -> None:
    terms = headings(DOCS / "glossary.md", 3)
    assert len(terms) == len(set(terms))
    assert all(term == term.lower() for term in terms), "lower case gives one anchor on GitHub and in JupyterLab"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_one_title_and_leaves_out_no_level(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_picture_has_words_beneath(page: Path) -> None:
    for after in page.read_text(encoding="utf-8").split("```mermaid")[1:]:
        picture, _, rest = after.partition("```")
        assert "accTitle:" in picture
        assert "accDescr:" in picture
        assert rest.strip().startswith("The picture in words:")


def test_the_python_of_the_pages_can_be_compiled() -> None:
    for page in PAGES:
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            compile(code, page.name, "exec")


def test_the_issue_form_offers_every_chapter() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/problem.yml").read_text(encoding="utf-8"))
    (options,) = (one["attributes"]["options"] for one in form["body"] if one.get("id") == "place")
    assert options[: len(CHAPTERS)] == [f"{chapter.id} {chapter.title}" for chapter in CHAPTERS]


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
