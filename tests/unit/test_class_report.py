"""Does the class report count what the records say, and tell of submissions that are alike?"""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.errors import CourseError
from autograder.grading import records, report
from autograder.manifest import load
from tests import record
from tests.corpus import DAG_FILE, SUBMISSIONS

COURSE = load()
NAMES = ("reference", "starter", "right_only_at_the_first_run", "append", "two_transactions")


def recorded(name: str, student: str = "") -> records.Record:
    evidence = record.read(name)["evidence"]
    work = records.Work(student or name, "a digest")
    return records.make(work, records.Seen("graded", None, evidence), COURSE, COURSE.assignment)


def dag(name: str) -> str:
    return SUBMISSIONS[name].files()[DAG_FILE].decode()


@pytest.fixture(scope="module")
def told() -> report.Report:
    timeout = records.make(records.Work("hedy", ""), records.Seen("timeout", "Too long."), COURSE, COURSE.assignment)
    fault = records.make(records.Work("ida", ""), records.Seen("grader_fault", "Ours."), COURSE, COURSE.assignment)
    return report.report([*map(recorded, NAMES), timeout, fault], COURSE, {}, {})


def test_it_counts_verdicts_and_points(told: report.Report) -> None:
    hardest = told["checks"][0]
    assert {one["id"]: one["pass"] for one in told["checks"]}["minimum.dag-loads"] == len(NAMES) - 1
    assert hardest["pass"] == min(one["pass"] for one in told["checks"])
    assert sum(count for _, count in told["scores"]["bins"]) == len(NAMES) + 1  # a fault of ours has no points
    assert told["outcomes"] == {"graded": list(NAMES), "timeout": ["hedy"], "grader_fault": ["ida"]}
    assert told["grid"]["starter"]["minimum.dag-loads"] == "not_yet"


def test_it_names_recognised_mistakes_the_most_frequent_first(told: report.Report) -> None:
    counts = [len(one["students"]) for one in told["traps"]]
    assert counts == sorted(counts, reverse=True)
    assert all(one["text"] for one in told["traps"])
    (appended,) = [one for one in told["traps"] if "append" in one["students"] and "target.idempotent" in one["checks"]]
    assert appended["trap"]


def test_other_names_and_comments_do_not_make_a_program_another() -> None:
    text = dag("taskflow_pandas")
    renamed = text.replace("trips", "rides").replace("month", "period") + "\n# my own work\n"
    code = {"ada": text, "grace": renamed, "joan": dag("staging_swap")}
    (pair,) = report.report([], COURSE, code, {})["alike"]
    assert pair["students"] == ["ada", "grace"]
    assert pair["share"] > report.ALIKE


def test_what_everyone_was_given_does_not_count() -> None:
    code = dict.fromkeys(("ada", "grace"), dag("reference"))
    assert report.report([], COURSE, code, {}, given=dag("reference"))["alike"] == []


def test_styles_of_one_task_are_not_alike() -> None:
    styles = ("classic_operators", "taskflow_pandas", "staging_swap", "task_bash", "merge_rows", "reference")
    assert report.report([], COURSE, {name: dag(name) for name in styles}, {})["alike"] == []


def test_equal_answers_are_told() -> None:
    rows = "\n".join(f"| 2024-0{month} | 1,99{month} | 1,99{month} |" for month in range(1, 8))
    others = rows.replace("1,99", "2,00")
    (pair,) = report.report([], COURSE, {}, {"ada": rows, "grace": f"# Report\n\n{rows}\n", "joan": others})["alike"]
    assert pair["students"] == ["ada", "grace"]


def test_the_page_shows_names_as_text(told: report.Report) -> None:
    name = "<script>alert(1)</script>"
    page = report.page(told | {"grid": {name: {}}, "seconds": {name: 1.0}}, COURSE)
    assert name not in page
    assert "&lt;script&gt;" in page


def test_nobody_is_left_to_report_on(tmp_path: Path) -> None:
    work = records.Work("ada", "", path="../submitted/ada")
    made = records.make(work, records.Seen("timeout", "Too long."), COURSE, COURSE.assignment)
    records.write(records.ClassFolder(tmp_path / "class").record_file("ada"), json.dumps(made))
    result = CliRunner().invoke(app, ["report", "--into", str(tmp_path / "class")])
    assert isinstance(result.exception, CourseError)
    assert "nobody is left" in result.exception.what
    (tmp_path / "submitted" / "ada").mkdir(parents=True)
    assert CliRunner().invoke(app, ["report", "--into", str(tmp_path / "class")]).exit_code == 0


def test_a_broken_program_is_compared_as_far_as_it_can_be_read() -> None:
    assert report.shingles("def f(:\n  '''") == set()
    broken = dag("staging_swap").replace("def ", "def (", 1)
    whole = report.shingles(dag("staging_swap"))
    assert len(report.shingles(broken) & whole) > 0.9 * len(whole)


@pytest.mark.parametrize(
    ("code", "tokens"),
    [
        ("x = f\"a {b + 1:>{w}} c\" 'd'  # e", "name = text text"),
        ("if x >= 0x1F: y **= .5 // 1_0.0e-3", "if name >= 0x1F : name **= .5 // 1_0.0e - 3"),
        ("@dag\ndef f(a, *b) -> None: ...", "@ name def name ( name , * name ) -> None : ..."),
        ("rb'''it's \\''' \n # here''' + \"\"", "text + text"),
        ("x = 'open\ny", "name = text name"),
        ('x = """open\n y\\', "name = text"),
        ("größe := a[1:-1]", "name := name [ 1 : - 1 ]"),
    ],
)
def test_tokens_are_those_of_every_python(code: str, tokens: str) -> None:
    assert " ".join(report._tokens(code)) == tokens
