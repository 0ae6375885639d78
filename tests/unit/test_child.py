"""Has a child process ended however the wait for it ends?"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from autograder import child


class Recorder(subprocess.Popen[bytes]):
    """Remembers what was started, and can be interrupted in its first wait."""

    started: "list[Recorder]"
    interrupt = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.started.append(self)

    def wait(self, timeout: float | None = None) -> int:
        if Recorder.interrupt:
            Recorder.interrupt = False
            raise KeyboardInterrupt
        return super().wait(timeout)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    monkeypatch.setattr(Recorder, "started", [], raising=False)
    monkeypatch.setattr(Recorder, "interrupt", False)
    monkeypatch.setattr(subprocess, "Popen", Recorder)
    return Recorder.started


def test_the_exit_code_comes_back_and_both_streams_are_kept(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    assert child.run(["sh", "-c", "echo one; echo two >&2; exit 3"], cwd=tmp_path, output=output) == 3
    assert output.read_text() == "one\ntwo\n"


def test_it_runs_in_the_folder_and_environment_that_it_is_given(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    child.run(["/bin/sh", "-c", "pwd; echo $NAME"], cwd=tmp_path, output=output, env={"NAME": "ada"})
    assert output.read_text() == f"{tmp_path}\nada\n"


def test_it_is_ended_when_its_time_is_over(tmp_path: Path, started: list[Recorder]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(["sleep", "60"], cwd=tmp_path, output=tmp_path / "output.txt", limit_s=0.05)
    assert started[0].returncode is not None


def test_it_is_ended_when_we_are_interrupted(tmp_path: Path, started: list[Recorder]) -> None:
    Recorder.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        child.run(["sleep", "60"], cwd=tmp_path, output=tmp_path / "output.txt")
    assert started[0].returncode is not None


def test_one_that_does_not_want_to_end_is_killed(
    tmp_path: Path, started: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_GRACE_S", 0.1)
    output = tmp_path / "output.txt"
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(["sh", "-c", "trap '' TERM; exec sleep 60"], cwd=tmp_path, output=output, limit_s=0.2)
    assert started[0].returncode is not None


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    output.write_text("\n".join(str(number) for number in range(100)) + "\n\n")
    assert child.tail(output).splitlines() == [str(number) for number in range(85, 100)]
