"""Is a student's feedback complete, the same every time, and plain text where a student wrote it?

The pages are in golden/feedback/. After a change that is meant, write them anew with
`python -m tests.unit.test_feedback_pages`, and read the difference.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from nbconvert.filters.markdown import markdown2html

from autograder.grading import feedback, records
from autograder.grading.gradebook import Book
from autograder.grading.realign import read_notebook
from autograder.manifest import load
from autograder.paths import RELEASE
from tests import record

GOLDEN = Path(__file__).parent / "golden" / "feedback"
NAMES = ("reference", "starter", "right_only_at_the_first_run")
COURSE = load()

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></main><!--",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31mred\x1b[0m \x07 \u202edetrevni\u2066",
    "```\n# fence\n````",
    "| a | b |\n|---|---|\n@everyone [x](javascript:alert(1))",
    "\ud800 lone",
    "x" * 1_000_000,
)


class Elements(HTMLParser):
    """Collects elements, ids and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def recorded(name: str) -> tuple[records.Record, dict[str, Any]]:
    """Return the record of a submission of the corpus, and its evidence."""
    evidence = record.read(name)["evidence"]
    work = records.Work(name, "a digest", "2026-11-20T12:00:00+00:00", ["The notebook was called final.ipynb."])
    return records.make(work, records.Seen("graded", None, evidence), COURSE, COURSE.assignment), evidence


def made(name: str) -> dict[str, str]:
    """Return both forms of the feedback."""
    one = recorded(name)
    return {f"{name}.html": feedback.page(*one, COURSE), f"{name}.md": feedback.markdown(*one, COURSE)}


@pytest.mark.parametrize("name", NAMES)
def test_the_feedback_is_the_golden_one(name: str) -> None:
    for file, text in made(name).items():
        assert text == (GOLDEN / file).read_text(encoding="utf-8"), file


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_student_wrote_is_shown_as_text(text: str) -> None:
    record_, evidence = recorded("right_only_at_the_first_run")
    usual = Elements(feedback.page(record_, evidence, COURSE))
    for one in record_["checks"]:
        one |= dict.fromkeys(("message", "where", "log"), text)
        one |= {key: text for key in ("expected", "seen", "cause") if one[key]}
    record_ |= {"student": text, "reason": None, "notes": [text]}
    dag = evidence["parsed"]["dags"][evidence["dag_id"]]
    dag["tasks"][text] = dag["tasks"].pop("dbt_test") | {"downstream": []}
    dag["tasks"]["dbt_run"]["downstream"] = [text]
    page, plain = feedback.page(record_, evidence, COURSE), feedback.markdown(record_, evidence, COURSE)
    seen = Elements(page)
    assert set(seen.names) == set(usual.names) | {"details", "summary"}
    assert not [key for key, _ in seen.attributes if key.startswith("on")]
    for one in (page, plain):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", one)
        assert len(one.encode()) < 400_000
    fences = re.findall(r"^(`{3,})(?:text)?$", plain, re.MULTILINE)
    assert len(fences) >= 4
    rows = "\n".join(line for line in plain.splitlines() if line.startswith("|"))
    assert rows.count("@everyone") == rows.count("`@everyone`")


LINKS = (
    "See https://example.org/a_b?c=d&e. Or www.example.org, (ftp://example.org) or mailto:ada@example.org!",
    "[text](https://example.org) ![](http://example.org/x.png) <https://example.org> [one][two] //example.org",
    "Ask @everyone, ada@example.org, #12, ada/work#3, GH-4.",
    "`https://example.org` ``https://example.org`` `https://example.org \\`https://example.org",
    "https://example.org|https://example.org | `x|https://example.org` | @x",
    "$x$ *a* _a_ **b** ~~c~~ <b>d</b> &amp; \\* dbt_run `dbt_run`",
    "# one",
    "- two",
    "3. three",
    "> four",
    "=======",
)


@pytest.mark.parametrize("text", LINKS)
@pytest.mark.parametrize("renderer", ["GitHub's kind", "nbgrader"])
def test_nothing_that_a_student_wrote_becomes_a_link_or_markup(text: str, renderer: str) -> None:
    plain = feedback.inline(text)
    if renderer == "nbgrader":
        html = markdown2html(plain)
    else:
        parser = MarkdownIt("gfm-like")
        assert parser.linkify
        parser.linkify.set({"fuzzy_link": False})  # GitHub links no bare domain
        html = parser.render(f"| a |\n|---|\n| {plain} |\n").partition("<tbody>")[2]
        assert html.count("<td>") == 1
    seen = Elements(html)
    assert set(seen.names) <= {"p", "code", "tr", "td"}
    assert re.sub(r"[`\s]", "", "".join(seen.texts)) == re.sub(r"[`\s]", "", text)
    # GitHub looks for names and numbers of issues in text that is not code.
    assert not re.search(r"@\w|#\d|GH-\d", re.sub(r"<code>.*?</code>", "", html))


def test_comments_for_nbgraders_feedback_are_text_too() -> None:
    release, _ = read_notebook(RELEASE / COURSE.assignment / f"{COURSE.assignment}.ipynb")
    made = records.make(
        records.Work("ada", "", None, ["<b>x</b>.ipynb was taken for the notebook, see https://example.org"]),
        records.Seen("timeout", "It took <i>long</i>."), COURSE, COURSE.assignment,
    )  # fmt: skip
    said = Book(None, COURSE, release)._said(made)["taxi-pipeline"]
    assert said
    assert set(Elements(markdown2html(said)).names) == {"p", "code"}


def test_a_submission_that_was_not_run_says_why() -> None:
    work = records.Work("ada", "")
    seen = records.Seen("timeout", "It did not end within 15 minutes.")
    record_ = records.make(work, seen, COURSE, COURSE.assignment)
    for text in (feedback.page(record_, None, COURSE), feedback.markdown(record_, None, COURSE)):
        assert text.count("It did not end within 15 minutes.") == 1
        assert "this one waits for" not in text
        assert "0 of 100 points" in text


def test_a_fault_of_the_grader_gives_no_points() -> None:
    record_ = records.make(records.Work("ada", ""), records.Seen("grader_fault", "Postgres ended."), COURSE, "a")
    page = feedback.page(record_, None, COURSE)
    assert "No points yet" in page
    assert "Postgres ended." in page


def write_golden() -> None:
    """Write the pages anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        for file, text in made(name).items():
            (GOLDEN / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_golden()
