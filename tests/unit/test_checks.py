"""Does each check pass on a perfect submission, and fail alone, with a text that helps, on one real mistake?

The texts are in golden/checks/, one file each. After a change of words that is meant, write them anew with
`python -m tests.unit.test_checks`, and read the difference.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.checks import judge
from autograder.checks.feedback import NOTEBOOK, WIDTH, render
from autograder.checks.rules import RULES
from autograder.checks.traps import TRAPS
from autograder.checks.verdict import Verdict
from autograder.manifest import load
from tests.unit.changes import LOG, NOT_WRITTEN, TRACE, not_imported
from tests.unit.evidence import Evidence, perfect
from tests.unit.mistakes import ALTERNATIVES, MISTAKES, OUR_FAULT, SEVERAL, spoilt

GOLDEN = Path(__file__).parent / "golden" / "checks"
COURSE = load()
IDS = [check.id for check in COURSE.checks]


def judged(evidence: Evidence) -> dict[str, Verdict]:
    return {verdict.id: verdict for verdict in judge(evidence, COURSE)}


def waiting_on(check_id: str) -> set[str]:
    """Return the checks that build on this one, directly or not."""
    direct = {rule.id for rule in RULES.values() if check_id in rule.needs}
    return direct.union(*map(waiting_on, direct))


def texts() -> dict[str, str]:
    """Return every situation's text as a student reads it in the notebook."""
    lost = [(name, mistake.loses, mistake.change) for name, mistake in MISTAKES.items()]
    lost += [(name, check, change) for name, (check, change, _) in SEVERAL.items()]
    lost += [(name, check, change) for name, (check, change) in OUR_FAULT.items()]
    rendered = {
        name: render(judged(spoilt(change))[check], COURSE.check(check), NOTEBOOK) for name, check, change in lost
    }
    passed = {
        check_id: render(verdict, COURSE.check(check_id), NOTEBOOK) for check_id, verdict in judged(perfect()).items()
    }
    rendered["waiting"] = render(
        judged(spoilt(not_imported(TRACE)))["target.backfill-runs"], COURSE.check("target.backfill-runs"), NOTEBOOK
    )
    return rendered | {f"pass_{check_id}": text for check_id, text in passed.items()}


TEXTS = texts()


def test_a_perfect_submission_passes_every_check() -> None:
    verdicts = judge(perfect())
    assert [verdict.id for verdict in verdicts] == IDS, "every check of the course, in its order"
    assert [(one.verdict, one.earned) for one in verdicts] == [("pass", check.points) for check in COURSE.checks]


def test_every_check_has_a_rule_and_a_mistake_that_it_finds() -> None:
    assert set(RULES) == set(IDS) == {mistake.loses for mistake in MISTAKES.values()}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_loses_one_check_alone(name: str) -> None:
    mistake = MISTAKES[name]
    verdicts = judged(spoilt(mistake.change))
    waiting = waiting_on(mistake.loses)
    assert {one: verdict.verdict for one, verdict in verdicts.items()} == {
        one: "not_yet" if one == mistake.loses else "waiting" if one in waiting else "pass" for one in IDS
    }
    assert all(verdict.earned == (verdict.points if verdict.verdict == "pass" else 0) for verdict in verdicts.values())
    lost = verdicts[mistake.loses]
    assert lost.message.endswith(".")
    assert lost.expected
    assert lost.seen
    assert lost.expected != lost.seen
    assert lost.trap == mistake.trap
    assert (mistake.cause or "") in (lost.cause or "")
    assert bool(mistake.cause or mistake.trap) == bool(lost.cause)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_trap_is_seen_in_its_own_mistakes_and_in_no_others(name: str) -> None:
    mistake = MISTAKES[name]
    evidence = spoilt(mistake.change)
    shown = {trap.name for trap in TRAPS if mistake.loses in trap.checks and trap.shows(evidence, mistake.loses)}
    assert shown == {mistake.trap} - {None}


def test_every_trap_has_a_mistake_and_a_chapter() -> None:
    names = [trap.name for trap in TRAPS]
    assert len(names) == len(set(names))
    assert set(names) == {mistake.trap for mistake in MISTAKES.values()} - {None}
    assert {trap.chapter for trap in TRAPS} <= {chapter.id for chapter in COURSE.chapters}
    assert {check for trap in TRAPS for check in trap.checks} <= set(IDS)


@pytest.mark.parametrize("name", ["perfect", *ALTERNATIVES])
def test_no_trap_is_seen_where_nothing_is_wrong(name: str) -> None:
    evidence = perfect() if name == "perfect" else spoilt(ALTERNATIVES[name])
    assert [(trap.name, check) for trap in TRAPS for check in trap.checks if trap.shows(evidence, check)] == []


@pytest.mark.parametrize("name", SEVERAL)
def test_a_check_that_is_lost_with_another_says_so(name: str) -> None:
    check_id, change, cause = SEVERAL[name]
    verdict = judged(spoilt(change))[check_id]
    assert verdict.verdict == "not_yet"
    assert (cause or "") in (verdict.cause or "")
    assert bool(cause) == bool(verdict.cause)


@pytest.mark.parametrize("name", OUR_FAULT)
def test_what_no_submission_can_cause_could_not_be_checked(name: str) -> None:
    check_id, change = OUR_FAULT[name]
    verdict = judged(spoilt(change))[check_id]
    assert (verdict.verdict, verdict.earned) == ("could_not_check", 0)
    assert "The checker cannot read" not in verdict.message
    assert verdict.message.startswith(("Airflow ", "No load could be cut"))


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_what_is_right_in_another_way_passes_too(name: str) -> None:
    assert {verdict.verdict for verdict in judge(spoilt(ALTERNATIVES[name]), COURSE)} == {"pass"}


def test_the_broken_file_of_the_dag_is_told_before_others() -> None:
    evidence = spoilt(not_imported(TRACE, "a.py"))
    evidence["parsed"]["import_errors"].append({"file": "taxi_pipeline.py", "text": NOT_WRITTEN})
    assert judged(evidence)["minimum.dag-loads"].message.startswith("dags/taxi_pipeline.py is not written yet")


def test_the_logs_of_a_failed_run_are_shown_with_where_they_are_from() -> None:
    log = judged(spoilt(MISTAKES["six_of_seven_green"].change))["target.backfill-runs"].log
    assert log == f"Log of dbt_test, 2024-05, after 3 tries:\n{LOG}"


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_the_golden_one(name: str) -> None:
    assert TEXTS[name] + "\n" == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_golden_text_has_a_situation() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_no_line_is_too_long(name: str) -> None:
    assert all(len(line) <= WIDTH for line in TEXTS[name].splitlines())


@pytest.mark.parametrize("part", ["parsed", "source", "backfill", "backfill_again", "cut_load"])
def test_evidence_that_lacks_a_part_is_our_fault(part: str) -> None:
    evidence = perfect()
    del evidence[part]
    verdicts = judge(evidence, COURSE)
    assert {verdict.verdict for verdict in verdicts} <= {"pass", "waiting", "could_not_check"}
    assert "could_not_check" in {verdict.verdict for verdict in verdicts}


def test_no_evidence_at_all_is_our_fault() -> None:
    verdicts = judge({}, COURSE)
    assert [verdict.id for verdict in verdicts] == IDS
    assert {verdict.verdict for verdict in verdicts} == {"could_not_check", "waiting"}
    assert verdicts[0].verdict == "could_not_check"


MAPS = {"dags", "source", "months", "practice", "bugs", "others_before", "others_after"}
"""What lacks a key says something else, and is no less evidence."""


def keys(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the path of every key that evidence always has."""
    if isinstance(document, dict):
        for key, value in document.items():
            if not path or (path[-1] not in MAPS and not (path[-1] == "tasks" and "dags" in path)):
                yield (*path, key)
            yield from keys(value, (*path, key))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from keys(value, (*path, place))


@pytest.mark.parametrize("name", ["perfect", "six_of_seven_green", "strays_loaded", "rows_doubled", "nothing_set"])
def test_a_key_that_is_missing_is_never_the_students_fault(name: str) -> None:
    whole = spoilt(MISTAKES[name].change) if name in MISTAKES else perfect()
    before = judged(whole)
    paths = list(keys(whole))
    assert len(paths) > 400
    for path in paths:
        inner: Any = whole
        for step in path[:-1]:
            inner = inner[step]
        value = inner.pop(path[-1])
        for verdict in judge(whole, COURSE):
            assert verdict == before[verdict.id] or verdict.verdict in ("waiting", "could_not_check"), path
        inner[path[-1]] = value


def test_a_thousand_judgements_take_little() -> None:
    documents = [perfect(), spoilt(MISTAKES["rows_doubled"].change), spoilt(MISTAKES["six_of_seven_green"].change)]
    began = time.process_time()
    for place in range(1000):
        judge(documents[place % len(documents)], COURSE)
    assert time.process_time() - began < 3


def test_judging_leaves_the_evidence_as_it_was() -> None:
    evidence = perfect()
    judge(evidence, COURSE)
    assert evidence == perfect()


def write_golden() -> None:
    """Write every text anew."""
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for name, text in TEXTS.items():
        (GOLDEN / f"{name}.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden()
