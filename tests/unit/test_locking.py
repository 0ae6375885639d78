"""Is a lock held by one at a time, and is only a holder named that lives?"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from autograder import locking
from autograder.errors import CourseError
from autograder.locking import Holder, locked

HOLDS = """
import os, sys, time
from pathlib import Path
from autograder.errors import CourseError
from autograder.locking import locked
with locked(Path(sys.argv[1]), lambda holder: CourseError("taken")) as say:
    say("here")
    if os.fork() == 0:  # as a worker, which has its descriptors
        while not Path(sys.argv[1] + ".go").exists():
            time.sleep(0.01)
        os._exit(0)
    print("held", flush=True)
    time.sleep(600)
"""


def refusal(holder: Holder | None) -> CourseError:
    return CourseError(f"held by {holder}, which says {holder.says if holder else None!r}")


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "lock"
    with locked(place, refusal) as say:
        with pytest.raises(CourseError, match=f"process {os.getpid()} on .*, which says ''"), locked(place, refusal):
            pass
        say("at home")
        with pytest.raises(CourseError, match="says 'at home'"), locked(place, refusal):
            pass
    with locked(place, refusal):
        pass
    assert place.read_text() == ""


def test_a_holder_that_was_killed_is_not_named_while_its_children_end(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(place)], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(CourseError, match=f"process {holder.pid} "), locked(place, refusal):
        pass
    holder.kill()
    while psutil.Process(holder.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    ended = threading.Timer(0.3, lambda: (tmp_path / "lock.go").touch())
    ended.start()
    with locked(place, refusal):  # not reaped yet: a zombie
        assert (tmp_path / "lock.go").exists()
    ended.join()
    holder.wait()
    holder.stdout.close()


def test_what_an_earlier_holder_wrote_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "PATIENCE_S", 0.2)
    place = tmp_path / "lock"
    earlier = {"pid": os.getpid(), "began": time.time() - 1e6, "host": socket.gethostname(), "says": ""}
    with locked(place, refusal):
        place.write_text(json.dumps(earlier))  # a process of that number, but another one
        with pytest.raises(CourseError, match="held by None"), locked(place, refusal):
            pass
        place.write_text(json.dumps(earlier | {"host": "elsewhere"}))
        with pytest.raises(CourseError, match="on elsewhere"), locked(place, refusal):
            pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CourseError, match="cannot be locked"), locked(tmp_path / "file" / "lock", refusal):
        pass
