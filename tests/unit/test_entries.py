"""Are the things counted that a section tells of?"""

import pytest

from autograder.checks.documents import entries

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
