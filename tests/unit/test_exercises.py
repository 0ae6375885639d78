"""Exercises and knowledge checks, as a student meets them."""

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from autograder import exercises, headless
from autograder.errors import CourseError
from autograder.exercises import as_given
from autograder.teaching import exercises as shown
from autograder.teaching import questions

ID = "04.3"


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress" / "exercises.jsonl"
    monkeypatch.setenv("COURSE_EXERCISES", str(path))
    return path


def choose(loaded: int, counted: int) -> str:
    return "build_counts" if loaded > counted else "report"


def breaks(loaded: int, counted: int) -> str:
    raise KeyError(loaded)


def test_a_right_answer_passes_and_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    shown.exercise(ID, choose)
    assert "✔ Passed: exercise 04.3" in capsys.readouterr().out
    assert [line["outcome"] for line in shown.results()] == [shown.PASSED]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda loaded, counted: None, "choose(2000, 0) returned None, not 'build_counts'"),
        (None, "choose is not there yet"),
        (..., "choose is not there yet"),
        ("report", "choose should be a Callable, and is a str"),
        (breaks, "It raised KeyError: 2000"),
    ],
)
def test_a_wrong_answer_is_told_and_stops_nothing(answer: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown.exercise(ID, answer)
    told = capsys.readouterr().out
    assert told.startswith("✘ Not yet: exercise 04.3")
    assert said in told
    assert 'hint("04.3")' in told


def test_a_count_by_pandas_is_an_integer() -> None:
    assert as_given(np.int64(3), int, "rows") == 3
    with pytest.raises(AssertionError, match="rows should be an int, and is a float"):
        as_given(3.0, int, "rows")


def test_a_fault_of_ours_is_not_told_as_the_students() -> None:
    def cannot() -> str:
        raise CourseError("Airflow does not answer.")

    def no_run() -> str:
        raise CourseError("There is no run.", exit_code=1)

    assert shown.outcome_of(cannot, ())[0] == shown.COULD_NOT_CHECK
    assert shown.outcome_of(no_run, ())[0] == shown.NOT_YET


def test_a_solution_is_shown_after_passing_only(capsys: pytest.CaptureFixture[str]) -> None:
    shown.exercise(ID, None)
    capsys.readouterr()
    shown.solution(ID)
    assert "def choose" not in capsys.readouterr().out
    shown.exercise(ID, choose)
    shown.solution(ID)
    assert "def choose" in capsys.readouterr().out


def test_hints_lead_to_the_next_one(capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        shown.hint(ID, number)
        told = capsys.readouterr().out
        assert told.startswith(f"Hint {number} of 3: ")
        assert (f'hint("04.3", {number + 1})' in told) == (number < 3)
    with pytest.raises(CourseError, match="no hint 4"):
        shown.hint(ID, 4)


def test_an_exercise_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CourseError) as caught:
        shown.hint("04.99")
    assert "04.1" in caught.value.todo


@pytest.mark.parametrize(
    ("good", "bad", "what"),
    [
        ('"04.1"', '"05.1"', "'05.1' is not \"04.\", and a number"),
        ("[a, b, c]", "[a, b]", "04.1 has 2 hints; every exercise has 3"),
        ("title", "name", "unknown key 'name'"),
    ],
)
def test_a_mistake_in_the_file_has_its_line(tmp_path: Path, good: str, bad: str, what: str) -> None:
    text = 'exercises:\n  - id: "04.1"\n    title: T\n    hints: [a, b, c]\n    solution: [x]\n'
    (tmp_path / "04.yaml").write_text(text)
    assert exercises.load("04", tmp_path)[0].solution == ("x",)
    (tmp_path / "04.yaml").write_text(text.replace(good, bad))
    with pytest.raises(CourseError, match=r"04\.yaml has a mistake in line") as caught:
        exercises.load("04", tmp_path)
    assert what in caught.value.what


def test_a_quiz_shows_no_answer_in_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = str(questions.quiz("04"))
    assert "04.q1" in text
    assert "Right" not in text
    questions.answer("04.q1", "b")
    questions.answer("04.q1", "A")
    questions.answer("04.q5")
    told = capsys.readouterr().out
    assert told.count("✓ Right.") == told.count("✗ Not this one.") == told.count("A full answer says") == 1


def test_the_weeks_quiz_is_shown_and_answered_like_a_chapters(capsys: pytest.CaptureFixture[str]) -> None:
    assert "week.q1" in str(questions.quiz(questions.WEEK))
    questions.answer("week.q1", "b")
    assert capsys.readouterr().out.startswith("✓ Right.")


@pytest.mark.parametrize(("question", "letter"), [("04.q99", "a"), ("q1", "a"), ("04.q1", "z"), ("04.q1", "")])
def test_a_question_that_is_not_there_is_told(question: str, letter: str) -> None:
    with pytest.raises(CourseError, match="There is no"):
        questions.answer(question, letter)


# --- the headless run ---


def notebook(*sources: str) -> Any:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


ONE = (exercises.Exercise("04.1", "T", ("a", "b", "c"), ("x = 1", "y = 2")),)


def test_solutions_come_last_each_with_its_check() -> None:
    made = headless.with_solutions(notebook('exercise("04.1", x)', "done()"), ONE)
    assert [cell.source for cell in made.cells] == [
        'exercise("04.1", x)',
        "done()",
        "x = 1",
        "y = 2",
        'exercise("04.1", x)',
    ]


def test_an_exercise_has_one_check() -> None:
    with pytest.raises(CourseError, match="0 cells check exercise"):
        headless.with_solutions(notebook('exercise("04.11")'), ONE)


@pytest.mark.parametrize(
    ("outcomes", "wrong"),
    [
        (["not yet", "passed"], ""),
        (["passed", "passed"], "The starter of exercise 04.1 gave 'passed'"),
        (["could not check", "passed"], "The starter of exercise 04.1 gave 'could not check'"),
        (["not yet", "not yet"], "The solution of exercise 04.1 gave 'not yet'"),
        (["not yet"], "Exercise 04.1 was checked 1 times, not twice"),
    ],
)
def test_a_starter_must_fail_and_a_solution_pass(outcomes: list[str], wrong: str) -> None:
    lines = [{"id": "04.1", "outcome": outcome, "said": ""} for outcome in outcomes]
    assert "\n".join(headless.wrong_results(ONE, lines)).startswith(wrong)
    assert bool(headless.wrong_results(ONE, lines)) == bool(wrong)
