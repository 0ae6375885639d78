"""A notebook's hold on its source, and its view of what came in."""

import json
from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.teaching import inbox, source_control


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_SOURCE_FAULTS", str(tmp_path / "faults.json"))
    monkeypatch.setenv("COURSE_SOURCE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("COURSE_NOTIFICATIONS", str(tmp_path / "notify"))
    return tmp_path / "faults.json"


def test_faults_of_several_files_stand_side_by_side_until_the_reset(faults: Path) -> None:
    source_control.source_fault("2024-03", status=503, times=2)
    source_control.source_fault("/misc/taxi_zone_lookup.csv", damage=True)
    assert json.loads(faults.read_text()) == {
        "/trip-data/green_tripdata_2024-03.parquet": [{"status": 503, "times": 2}],
        "/misc/taxi_zone_lookup.csv": [{"damage": True}],
    }
    source_control.source_reset()
    assert not faults.exists()
    source_control.source_reset()


@pytest.mark.usefixtures("faults")
def test_one_fault_at_a_time() -> None:
    with pytest.raises(CourseError, match="one fault"):
        source_control.source_fault("2024-03")
    with pytest.raises(CourseError, match="one fault"):
        source_control.source_fault("2024-03", status=503, damage=True)


def test_requests_are_shown_of_one_file(faults: Path) -> None:
    lines = [
        {"time": f"2024-01-01T00:00:0{n}+00:00", "method": "GET", "path": f"/{month}", "status": status, "bytes": 1}
        for n, (month, status) in enumerate([("2024-03", 503), ("2024-04", 200), ("2024-03", 200)])
    ]
    assert "none" in str(source_control.source_requests())
    (faults.parent / "log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert str(source_control.source_requests("2024-03")).startswith(
        "What the source answered, oldest first: 503, 200."
    )


def test_notifications_are_those_that_name_the_dag(faults: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CourseError, match="0 of 1 notifications came"):
        inbox.wait_for_notification("mine", limit=0)
    lines = [{"time": "2024-01-01T00:00:00+00:00", "method": "POST", "path": "/", "body": b} for b in ("mine", "yours")]
    (faults.parent / "notify").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    inbox.wait_for_notification("mine")
    assert "Notifications so far: 1." in capsys.readouterr().out
    assert str(inbox.notifications()).startswith("Notifications: 2.")


def test_without_a_source_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_SOURCE_FAULTS", raising=False)
    with pytest.raises(CourseError, match="no source of its own"):
        source_control.source_reset()
