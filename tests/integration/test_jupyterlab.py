"""Does the course hold in JupyterLab as people meet it: formgrader for a teacher, Validate and pictures for a student?

One JupyterLab runs for all, on a class folder as `course grade` leaves it, and Debian's Chromium is in front of it.
What was observed of each submission is on record, so nothing is run for it.
"""

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, Response, expect

from autograder.airflow_local.session import Session, free_port
from autograder.desk import jupyterlab_command
from autograder.manifest import load
from autograder.observe import evidence
from autograder.observe.project import write_project, written_files
from autograder.paths import ASSIGNMENT, RELEASE, STATE
from tests import class_of_recordings, record
from tests.class_of_recordings import Recordings
from tests.corpus import SUBMISSIONS

pytestmark = pytest.mark.integration

COURSE = load()
CLASS = ("append", "reference")
TOKEN = "for-tests"
NOTEBOOK = f"{ASSIGNMENT}.ipynb"
RUNBOOK = "minimum.runbook"


SHOWN = (
    "import pandas as pd\nfrom autograder.teaching import pictures, questions, shown",
    'pictures.draw_graph("d", {"load": ["test"], "test": []}, {"load": "success", "test": "failed"})',
    'pictures.plot_rows(pd.DataFrame({"month": ["2024-01"], "raw_trips": [2035], "fct_trips": [2035]}))',
    'shown.table(["run", "state"], [["a", "✘ failed"], ["b", None]], "Two runs.", {(0, 1): shown.colour("failed")})',
    'questions.quiz("04")',
)
"""Cells whose outputs are what a chapter shows, without an Airflow."""

CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (part) => part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (let above = one; above; above = above.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(above).backgroundColor);
      if (a > 0.5) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const words = ".jp-OutputArea-output :is(p, td, th, caption, summary, figcaption, h4, code)";
  return [...document.querySelectorAll(words)].map((one) => {
    const back = behind(one);
    const [r, g, b, a = 1] = numbers(getComputedStyle(one).color);
    const front = [r, g, b].map((part, place) => part * a + back[place] * (1 - a));
    const [less, more] = [luminance(front), luminance(back)].sort((one, other) => one - other);
    return [one.textContent, (more + 0.05) / (less + 0.05)];
  });
}"""
"""Each text that is shown, with its contrast as WCAG reckons it: axe finds nothing to reckon in JupyterLab."""


@dataclass
class Lab:
    """A JupyterLab on a folder, and a page with it; its settings are in `config`."""

    folder: Path
    url: str
    page: Page
    config: Path

    def menu(self, *path: str) -> None:
        """Choose an entry of a menu."""
        for name in path:
            self.page.get_by_role("menuitem", name=name, exact=True).click()

    def open(self, notebook: str) -> None:
        """Show a notebook of the folder, once its kernel is there."""
        self.page.goto(f"{self.url}/lab/tree/{notebook}?reset")
        expect(self.page.get_by_text("| Idle")).to_be_visible(timeout=60_000)


def write_notebook(name: str, folder: Path) -> Path:
    """Write the assignment's notebook as it is handed in, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTEBOOK).write_text(json.dumps(SUBMISSIONS[name].notebook()))
    return folder / NOTEBOOK


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("class")
    for student in CLASS:
        write_notebook(student, folder / "submitted" / student / ASSIGNMENT)
    class_of_recordings.grade(folder, Recordings(folder / "count"))
    shutil.copytree(RELEASE, folder / "release")
    write_notebook("reference", folder / "done")
    with Session.open(tmp_path_factory.mktemp("state")) as session:
        url = f"http://127.0.0.1:{(port := free_port())}"
        argv, environment = jupyterlab_command(port, TOKEN, browser=False)
        own = {f"JUPYTER_{name}_DIR": str(session.folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in SHOWN])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "shown.ipynb")
        server = session.start("jupyterlab", argv, env={**environment, **own}, cwd=folder)

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/api").is_success
            except httpx.TransportError:
                return False

        session.wait_until(answers, "JupyterLab", process=server, name="jupyterlab", limit=60)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.goto(f"{url}/lab?token={TOKEN}")
        yield Lab(folder, url, page, session.folder / "CONFIG")
        page.close()


def is_saved(response: Response) -> bool:
    """Return whether formgrader has kept a mark or a comment."""
    return response.request.method == "PUT" and bool(re.search("/formgrader/api/(grade|comment)/", response.url))


def to_submissions(forms: FrameLocator) -> None:
    """Go to formgrader's list of what each student handed in."""
    forms.get_by_role("link", name="Manual Grading").first.click()
    forms.locator(f"#main-table a[href$='/gradebook/{ASSIGNMENT}']").click()
    forms.locator(f"#main-table a[href$='/gradebook/{ASSIGNMENT}/{ASSIGNMENT}']").click()
    expect(forms.get_by_role("link", name="Submission #1")).to_be_visible()
    forms.get_by_role("button", name="Show All Names").click()


def test_formgrader_takes_a_mark_that_survives_a_regrade(lab: Lab) -> None:
    lab.menu("Nbgrader", "Formgrader")
    forms = lab.page.frame_locator("iframe")
    assignment = forms.get_by_role("row").filter(has_text=ASSIGNMENT)
    expect(assignment.get_by_role("link", name=str(len(CLASS)), exact=True)).to_be_visible()
    assignment.get_by_role("link", name=str(len(CLASS)), exact=True).click()
    scores = {one["student"]: one["score"] for one in map(json.loads, map(Path.read_text, graded(lab)))}
    for student in CLASS:
        expect(forms.get_by_role("row").filter(has_text=student)).to_contain_text(f"{scores[student]:g} / 100")
    to_submissions(forms)
    forms.get_by_role("link", name="append").click()
    cell = COURSE.check(RUNBOOK).grade_id
    mark = forms.locator(f"input[id='{cell}']")
    expect(mark).to_have_attribute("placeholder", "6")
    with lab.page.expect_response(is_saved) as saved:
        mark.fill("3")
        mark.blur()
    assert saved.value.ok
    comment = forms.locator("textarea[id='runbook-comment']")
    with lab.page.expect_response(is_saved) as saved:
        comment.fill("Well told.")
        comment.blur()
    assert saved.value.ok

    worth = [dataclasses.replace(one, points=8) if one.id == RUNBOOK else one for one in COURSE.checks]
    changed = dataclasses.replace(COURSE, checks=tuple(worth))
    class_of_recordings.grade(lab.folder, Recordings(lab.folder / "count"), changed)

    to_submissions(forms)
    forms.get_by_role("link", name="append").click()
    expect(mark).to_have_attribute("placeholder", "8")
    expect(mark).to_have_value("3")
    expect(mark).to_have_class(re.compile("needs_manual_grade"))
    expect(comment).to_have_value("Well told.")
    with lab.page.expect_response(is_saved) as saved:
        forms.get_by_role("button", name="Resolve").click()
    assert saved.value.ok
    expect(mark).not_to_have_class(re.compile("needs_manual_grade"))
    to_submissions(forms)
    expect(forms.get_by_role("row").filter(has_text="append")).to_contain_text(f"{scores['append'] - 3:g} / 102")


def graded(lab: Lab) -> list[Path]:
    return sorted((lab.folder / "graded").glob("*.json"))


@pytest.fixture
def observed_before(tmp_path: Path) -> Iterator[None]:
    """Put on record what was observed of two notebooks, each time that one of their cells has written a file."""
    placed = []
    for name in ("starter", "reference"):
        notebook, folder = write_notebook(name, tmp_path), tmp_path / name
        for path, text in written_files(notebook):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8", newline="")
            project = write_project(folder, tmp_path / "projects" / name / path.name)
            placed.append(STATE / "evidence" / f"{evidence.digest(project, 'default')}.json")
            placed[-1].parent.mkdir(parents=True, exist_ok=True)
            placed[-1].write_text(json.dumps(record.read(name)["evidence"]))
    known = set((STATE / "evidence").iterdir())
    yield
    new = set((STATE / "evidence").iterdir()) - known
    for path in placed:
        path.unlink(missing_ok=True)
    assert not new, "the cells looked for other evidence"


def test_validate_tells_which_checks_do_not_pass(lab: Lab, observed_before: None) -> None:
    dialog = lab.page.get_by_role("dialog")
    lab.open(f"release/{ASSIGNMENT}/{NOTEBOOK}")
    lab.page.get_by_text("Validate", exact=True).click()
    visible = [check for check in COURSE.checks if check.visible]
    expect(dialog.get_by_text("The following cell failed:")).to_have_count(len(visible), timeout=60_000)
    for check in visible:
        expect(dialog).to_contain_text(f'check("{check.id}")')
        expect(dialog).to_contain_text(check.title[:50])
    lab.page.keyboard.press("Escape")
    lab.open(f"done/{NOTEBOOK}")
    lab.page.get_by_text("Validate", exact=True).click()
    expect(dialog).to_contain_text("Success! Your notebook passes all the tests.", timeout=60_000)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_what_a_chapter_shows_is_readable(theme: str, lab: Lab) -> None:
    settings = lab.config / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    lab.open("shown.ipynb")
    expect(lab.page.locator(f"body[data-jp-theme-name='{theme}']")).to_be_attached()
    lab.menu("Run", "Run All Cells")
    question = lab.page.locator("details:visible", has_text="At the same time as").first
    expect(question).to_be_visible(timeout=60_000)
    assert lab.page.get_by_role("img", name="Task graph of d").is_visible()
    assert lab.page.get_by_role("img", name="Trips in the warehouse").is_visible()
    question.locator("summary").click()
    expect(question).to_contain_text("Right.")
    found = Axe().run(lab.page, {"include": [[".jp-OutputArea-output"]]})
    assert found.violations_count == 0, found.generate_report()
    contrasts = dict(lab.page.evaluate(CONTRASTS))
    assert {"✘ failed", "Two runs."} <= set(contrasts)
    assert {text: contrast for text, contrast in contrasts.items() if contrast < 4.5} == {}
