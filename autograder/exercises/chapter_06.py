"""Checkers of chapter 06, Testing DAGs: the student's tests must pass on a DAG file, and fail on its bugs."""

from collections.abc import Mapping
from pathlib import Path

from autograder.exercises import checks
from autograder.observe.own_tests import with_bug
from autograder.teaching.testing import dag_source, outcomes, seeded

FUNCTION_BUGS = {
    "month_of leaves out the zero of 2024-03": "month_of = lambda date: f'{date.year}-{date.month}'",
    "month_of always answers 2024-11": "month_of = lambda date: '2024-11'",
    "parquet_url asks for the yellow taxis": (
        "_url = parquet_url\nparquet_url = lambda month: _url(month).replace('green', 'yellow')"
    ),
    "parquet_url always names 2024-11": "_url = parquet_url\nparquet_url = lambda month: _url('2024-11')",
}
"""What each bug is called, and the lines at the file's end that make it."""

STRUCTURE_BUGS = {
    "the tasks have no order": "no_order",
    "the last task is missing": "task_missing",
    "there are no retries": "no_retries",
    "it runs daily and catches up": "daily_with_catchup",
}


@checks("06.1")
def tests_of_functions() -> str:
    """Pass on taxi_pipeline, and notice a bug in either function."""
    source = dag_source("taxi_pipeline.py")
    bugs = {name: f"{source}\n\n{lines}\n" for name, lines in FUNCTION_BUGS.items()}
    return _find("work/tests/test_exercise_06_1.py", "taxi_pipeline.py", source, bugs)


@checks("06.2")
def tests_of_a_structure() -> str:
    """Pass on taxi_pipeline, and notice a change of its structure."""
    source = dag_source("taxi_pipeline.py")
    bugs = {name: with_bug(source, bug) for name, bug in STRUCTURE_BUGS.items()}
    return _find("work/tests/test_exercise_06_2.py", "taxi_pipeline.py", source, bugs)


@checks("06.3")
def a_test_of_the_address() -> str:
    """Pass on borough_report, and notice the mistyped address."""
    source = dag_source("borough_report.py")
    bugs = {"the address is mistyped": seeded(source, "d37ci6vzurychx", "d37ci6vzuryhcx")}
    return _find("work/tests/test_exercise_06_3.py", "borough_report.py", source, bugs)


def _find(tests: str, file: str, source: str, bugs: Mapping[str, str]) -> str:
    assert Path(tests).is_file(), f"There is no {tests} yet. Run the cell that writes it."
    (_, own), *_ = outcomes([tests], file, {"own": source})
    assert own.code != 5, f"pytest finds no test in {tests}. A test is a function whose name begins with test_."
    assert own.code == 0, f"On {file} as it is, the tests should pass. pytest says:\n{own.output[-1500:]}"
    for name, one in outcomes([tests], file, bugs):
        assert one.code != 0, f"Your tests also pass on a version of {file} with this bug: {name}."
    return f"Your tests pass on {file} as it is, and find {len(bugs)} of {len(bugs)} bugs."
