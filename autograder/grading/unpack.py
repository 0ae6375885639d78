"""What a student handed in, copied to a folder of ours: files, folders and archives, without trusting any of it.

Contract: `unpack` writes ordinary files only, all of them within the folder that it is given, and no more than
`LARGEST_TOTAL` bytes in `MOST_FILES` files; reading archives has limits of its own. An archive in an archive is
unpacked, too. What is left out (links, devices, names that lead outside) is told in a note. What cannot be taken in at
all is raised as a `CourseError` for the student.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from autograder.errors import CourseError
from autograder.grading.archives import BROKEN, Budget, is_archive, members, too_much

LARGEST_TOTAL = 100_000_000
"""Bytes of all that one student hands in, unpacked."""

MOST_FILES = 5_000
DEEPEST = 3
"""Archives within each other."""

DEEPEST_PATH = 30
"""Folders within each other."""

MOST_NOTES, LONGEST_NAME = 20, 200
"""Of notes on what was left out, and of characters of a name in one."""

LEFT = {"__MACOSX", ".DS_Store", ".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints",
        ".course", ".mypy_cache", ".pytest_cache", ".ruff_cache", "dbt_packages", "logs", "airflow.db"}  # fmt: skip
"""Names of what tools leave: not part of the work, and not worth a note."""

_BLOCK = 1 << 20
_AGAIN = "Hand it in again, as the notebook alone or as a zip of the project."


@dataclass
class _Room:
    """What may still be written."""

    into: Path
    left: int = field(default_factory=lambda: LARGEST_TOTAL)
    files: int = field(default_factory=lambda: MOST_FILES)
    budget: Budget = field(default_factory=Budget)
    unpacked: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, name: str, why: str) -> None:
        """Note what was left out."""
        short = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        self.left_out.append(f"{short} was left out: {why}.")

    def notes(self) -> list[str]:
        """Return the notes, not too many."""
        more = len(self.left_out) - MOST_NOTES
        rest = [f"{more} more were left out for such reasons."] if more > 0 else []
        return [*self.unpacked, *self.left_out[:MOST_NOTES], *rest]

    def write(self, name: str, source: IO[bytes]) -> Path:
        """Write one file, unless it is too much."""
        self.files -= 1
        if self.files < 0:
            raise too_much(f"It has more than {MOST_FILES} files.")
        if name.count("/") > DEEPEST_PATH:
            raise too_much(f"It has folders more than {DEEPEST_PATH} deep.")
        path = self.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            while block := source.read(_BLOCK):
                self.left -= len(block)
                if self.left < 0:
                    raise too_much(f"It is larger than {LARGEST_TOTAL // 1_000_000} MB.")
                target.write(block)
        return path


def unpack(handed_in: Path, into: Path) -> list[str]:
    """Copy a file, a folder or an archive into an empty folder.

    Parameters
    ----------
    handed_in
        What the student handed in.
    into
        An empty or new folder; an archive's content stands directly in it.

    Returns
    -------
    list of str
        What was left out or unpacked, a line each.

    Raises
    ------
    CourseError
        When it is too large, an archive is broken, or it cannot be read; the exit code is that of the student's work.
    """
    into.mkdir(parents=True, exist_ok=True)
    room = _Room(into)
    try:
        if handed_in.is_dir():
            _copy_folder(handed_in, room)
        elif is_archive(handed_in):
            _extract(handed_in, "", room)
        else:
            with handed_in.open("rb") as source:
                room.write(handed_in.name, source)
        for _ in range(DEEPEST):
            inner = [path for path in sorted(into.rglob("*")) if path.is_file() and is_archive(path)]
            for path in inner:
                room.unpacked.append(f"{path.relative_to(into)} was unpacked.")
                folder = path.relative_to(into).parent.as_posix()
                archive = path.rename(path.with_name(f".{path.name}.unpacked"))
                _extract(archive, "" if folder == "." else f"{folder}/", room)
                archive.unlink()
    except OSError as error:
        raise CourseError(
            f"It cannot be read: {error.strerror}.", where=handed_in.name, todo=_AGAIN, exit_code=1
        ) from error
    return room.notes()


def fingerprint(handed_in: Path) -> str:
    """Return a name for what a student handed in; while it is the same, nothing in it has changed that counts."""
    content = hashlib.sha256()
    if handed_in.is_dir():
        for here, folders, files in os.walk(handed_in, followlinks=False):
            folders[:] = sorted(name for name in folders if not is_left(name))
            for name in sorted(name for name in files if not is_left(name)):
                _add(content, handed_in, Path(here, name))
    else:
        _add(content, handed_in.parent, handed_in)
    return content.hexdigest()


def is_left(name: str) -> bool:
    """Return whether a name is of what tools leave; macOS puts a file `._NAME` beside each in a tar."""
    return name in LEFT or name.startswith("._")


def _add(content: "hashlib._Hash", folder: Path, path: Path) -> None:
    content.update(f"\0{path.relative_to(folder)}\0".encode("utf-8", "surrogateescape"))
    try:
        with _opened(path) as source:
            if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                content.update(f"{os.fstat(source.fileno()).st_size}\0".encode())
                while block := source.read(_BLOCK):
                    content.update(block)
    except OSError:
        content.update(b"unreadable")


def _opened(path: Path) -> IO[bytes]:
    """Open a file as what it is now: a pipe must not hold us up, nor a link be followed."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: PTH123 - a descriptor


def beginning(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of an ordinary file; nothing of any other, or of one that cannot be read."""
    try:
        with _opened(path) as file:
            return file.read(most) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return b""


def _copy_folder(folder: Path, room: _Room) -> None:
    for here, folders, files in os.walk(folder, followlinks=False):
        relative = Path(here).relative_to(folder)
        linked = [name for name in folders if Path(here, name).is_symlink()]
        folders[:] = sorted(name for name in folders if not is_left(name) and name not in linked)
        for name in sorted([*files, *linked]):
            path = Path(here, name)
            if is_left(name):
                continue
            try:
                source = _opened(path)
            except OSError:
                room.leave_out(str(relative / name), "it is a link, or cannot be read")
                continue
            with source:
                if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                    room.write(str(relative / name), source)
                else:
                    room.leave_out(str(relative / name), "it is no ordinary file")


def _extract(archive: Path, prefix: str, room: _Room) -> None:
    named = archive.name.removeprefix(".").removesuffix(".unpacked")
    try:
        for name, ordinary, member in members(archive, zipped=named.lower().endswith(".zip"), budget=room.budget):
            clean = PurePosixPath(name.replace("\\", "/"))
            if any(map(is_left, clean.parts)):
                continue
            outside = clean.is_absolute() or ".." in clean.parts or re.match(r"[A-Za-z]:", name) or "\0" in name
            if outside or not clean.parts:
                room.leave_out(f"{name!r} in the archive", "it leads outside the archive")
            elif not ordinary:
                room.leave_out(f"{name} in the archive", "it is a link, or no ordinary file")
            else:
                with member() as source:
                    room.write(f"{prefix}{clean}", source)
    except CourseError:
        raise
    except BROKEN as error:
        raise CourseError(
            f"The archive cannot be unpacked: {error or type(error).__name__}.", where=named, todo=_AGAIN, exit_code=1
        ) from error
