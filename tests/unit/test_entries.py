"""What is read in students' documents, however they are written."""

import pytest

from autograder.checks.documents import entries, month_rows, sections, words

TABLE = "| Sign | Remedy |\n|---|---|\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("Ask me.", 1),
        ("- a 403\n- no connection\n* a failed test\n", 3),
        ("1. a 403\n   Wait. Then clear it.\n2) no connection\n", 2),
        (TABLE + "| 403 | wait |\n| no connection | define it |\n| | |\n", 2),
        (TABLE + "| 403 | The TLC has no file. Wait. Then clear it. |\n", 1),
        (TABLE, 1),
        ("### A 403\n\nWait. Then clear it.\n\n### No connection\n\nDefine it.\n", 2),
        ("Not published: wait. No connection: define azure_pg. A failed test: read which.", 3),
        ("Not published: wait\n\nNo connection: define azure_pg\n", 2),
        ("<!-- - one\n- two\n- three -->\nNothing.", 1),
    ],
)
def test_entries(text: str, number: int) -> None:
    assert entries(text) == number


@pytest.mark.parametrize(
    "text",
    ["# a" + " #" * 40_000 + "x", "<!--" * 25_000, "## " + " " * 90_000 + "x", "<!--" * 10_000 + "-->" * 10_000],
    ids=["a heading that does not end", "comments that do not end", "spaces", "comments in comments"],
)
def test_no_text_takes_its_square_in_time(text: str) -> None:
    """Each of these took a regular expression minutes, in which nobody else's verdict was made."""
    assert entries(text) >= 0
    assert words(text) >= 0
    assert set(sections(text, {"a": "a"})) <= {"a"}


def test_headings_lose_what_closes_them() -> None:
    assert sections("## Logs ##\nhere\n## Next #", {"Logs": "logs", "Next": "next"}) == {"Logs": "\nhere\n", "Next": ""}


def test_a_number_that_no_table_has_is_none() -> None:
    assert month_rows(f"| 2024-01 | {'9' * 5000} | 1,234 |") == {"2024-01": [1234]}
