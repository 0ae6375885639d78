"""Does the page of attacks tell of those that there are?"""

import re

from autograder.paths import ROOT
from tests.hostile import BELOW, PAGE, page, probes, whole


def test_the_page_lists_the_suite() -> None:
    assert PAGE.read_text() == page(), "run .venv/bin/python -m tests.hostile"


def test_each_name_in_it_is_there_and_each_whole_submission_and_probe_in_it() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE.read_text().partition(BELOW)[0]))
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    words = {"__eq__", "sitecustomize", "PYTHONPATH"}
    assert told - words <= tests | set(probes()) | set(whole())
    assert set(whole()) - {"describes_another_dag", "floods_the_observer", "writes_outside_the_logs"} <= told
