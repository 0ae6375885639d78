"""Do the pages for students and teachers hold in a real browser: no error, nothing fetched, accessible in both schemes?

Debian's Chromium is driven; where there is none, nothing is seen.
"""

from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from autograder.grading import feedback, records, report
from autograder.manifest import load
from tests import record

COURSE = load()
NAMES = ("reference", "starter", "right_only_at_the_first_run", "append")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the file of each page, by name."""
    folder = tmp_path_factory.mktemp("pages")
    texts, graded = {}, []
    for name in NAMES:
        evidence = record.read(name)["evidence"]
        seen = records.Seen("graded", None, evidence)
        graded.append(records.make(records.Work(name, "a digest"), seen, COURSE, COURSE.assignment))
        texts[name] = feedback.page(graded[-1], evidence, COURSE)
    ended = records.Seen("timeout", "It took longer than 15 minutes.")
    graded.append(records.make(records.Work("hedy", ""), ended, COURSE, COURSE.assignment))
    texts["timeout"] = feedback.page(graded[-1], None, COURSE)
    texts["class report"] = report.page(report.report(graded, COURSE, {}, {}), COURSE)
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*NAMES, "timeout", "class report"])
def test_a_page_is_whole_and_accessible(
    name: str, scheme: Literal["light", "dark"], browser: Browser, pages: dict[str, Path]
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1000, "height": 800})
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    page.screenshot(path=pages[name].with_suffix(f".{scheme}.png"), full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    result = Axe().run(page)
    page.close()
    assert errors == []
    assert asked == [pages[name].as_uri()], "a page for itself fetches nothing"
    assert wide == 0, "the page scrolls sideways"
    assert result.violations_count == 0, result.generate_report()
