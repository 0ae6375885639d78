"""The files in an archive, one after the other, for no more work than an honest one takes.

Contract: `members` yields what is in a zip or a tar, plain or compressed. What is read past counts against its limits
as much as what is taken: other files, headers, entries. Bytes are counted where they are read, whatever the archive
says of itself. Past a limit it raises a `CourseError` for the student.
"""

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

from autograder.errors import CourseError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

LARGEST_READ = 500_000_000
"""Bytes that are read of all archives of one student, as they are and unpacked."""

MOST_ENTRIES = 50_000
"""Entries in them, with those of folders that tools leave (`.venv`, `node_modules`)."""

LARGEST_HEADER = 128 * 1024
"""Bytes between two files of a tar: a name, and what a system says of a file."""

LARGEST_DIRECTORY = 10_000_000
"""Bytes of a zip's list of its files."""

XZ_MEMORY = 256_000_000
"""Bytes of memory that unpacking may take; xz at its highest level takes 65 MB."""

BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError,
          NotImplementedError, ValueError, OverflowError)  # fmt: skip
"""What is raised where an archive is damaged, or none."""

_BLOCK = 1 << 20

Member = tuple[str, bool, Callable[[], AbstractContextManager[IO[bytes]]]]
"""A name, whether it is an ordinary file, and what opens it, until the next one is asked for."""


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_archive(path: Path) -> bool:
    """Return whether a file's name is an archive's."""
    return path.name.lower().endswith(ENDINGS)


def too_much(what: str) -> CourseError:
    """Return the error for what is too large."""
    return CourseError(
        what, todo="Hand in the notebook alone, or a project without data, packages and logs.", exit_code=1
    )


@dataclass
class Budget:
    """What may still be read of a student's archives."""

    bytes: int = field(default_factory=lambda: LARGEST_READ)
    entries: int = field(default_factory=lambda: MOST_ENTRIES)

    def entry(self) -> None:
        """Count an entry."""
        self.entries -= 1
        if self.entries < 0:
            raise too_much(f"Its archives hold more than {MOST_ENTRIES} entries.")


class _Counted:
    """Reads a file as long as the budget lasts, and `room`, which is for the part that is read just now."""

    def __init__(self, file: _Source, budget: Budget) -> None:
        self._file, self._budget = file, budget
        self.room, self.part = LARGEST_READ, ""

    def allow(self, room: int, part: str = "") -> None:
        self.room, self.part = room, part

    def read(self, size: int = -1) -> bytes:
        most = max(0, min(self.room, self._budget.bytes)) + 1
        block = self._file.read(most if size < 0 else min(size, most))
        self.room -= len(block)
        self._budget.bytes -= len(block)
        if self._budget.bytes < 0:
            raise too_much(f"Its archives hold more than {LARGEST_READ // 1_000_000} MB.")
        if self.room < 0:
            raise too_much(f"The archive has {self.part} of a size that no honest one has.")
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return cast("IO[bytes]", self._file).seek(offset, whence)

    def tell(self) -> int:
        return cast("IO[bytes]", self._file).tell()

    def seekable(self) -> bool:
        return True


class _Unxz(io.RawIOBase):
    """Reads a file of xz within a limit of memory, which `lzma.LZMAFile` cannot be given."""

    def __init__(self, file: _Source) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer; Python 3.11 has no name for it
        while True:
            given = b""
            if self._decompressor.eof:
                given = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(_BLOCK).lstrip(b"\0")
                if not given:
                    return 0
                self._decompressor = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            elif self._decompressor.needs_input and not (given := self._file.read(_BLOCK)):
                raise EOFError("it ends too early")
            if block := self._decompressor.decompress(given, len(buffer)):
                buffer[: len(block)] = block
                return len(block)


class _Tar:
    """What `tarfile` reads from: from the front to the end, with an eye on headers while `in_headers`.

    Before Python 3.11.10 and 3.12.6 a header that is no header could cost minutes.
    """

    def __init__(self, file: _Source, budget: Budget) -> None:
        self._counted = _Counted(file, budget)
        self._at = 0
        self._after = b""
        self.headers()

    def headers(self) -> None:
        self.in_headers = True
        self._counted.allow(LARGEST_HEADER, "a header")

    def content(self) -> None:
        self.in_headers = False
        self._counted.allow(LARGEST_READ)

    def read(self, size: int) -> bytes:
        block = self._counted.read(size)
        self._at += len(block)
        if self.in_headers and len(block) >= tarfile.BLOCKSIZE:
            kind, self._after = self._after, b""
            if kind in _PAX and not _is_pax(block):
                raise tarfile.ReadError("it has a header that cannot be read")
            if kind not in _WITH_BODY:
                self._after = block[156:157]
        return block

    def seek(self, to: int) -> None:
        if to < self._at:
            raise tarfile.ReadError("it leads backwards")
        while to > self._at and (block := self._counted.read(min(to - self._at, _BLOCK))):
            self._at += len(block)

    def tell(self) -> int:
        return self._at


_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_WITH_BODY = (*_PAX, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def _is_pax(body: bytes) -> bool:
    """Return whether a header's body is lines as POSIX has them, with their lengths, and takes no time to search."""
    place = 0
    while place < len(body) and body[place]:
        length = re.compile(rb"(\d{1,9}) ").match(body, place)
        line = body[place : place + int(length[1])] if length else b""
        if not line.endswith(b"\n") or b"=" not in line:
            return False
        place += len(line)
    return not re.search(rb"\d{100}", body)


def members(archive: Path, *, zipped: bool, budget: Budget) -> Iterator[Member]:
    """Yield what is in an archive, but its folders.

    Parameters
    ----------
    archive
        The file.
    zipped
        Whether it is a zip; else it is a tar, whose compression its first bytes tell.
    budget
        What may still be read; what is read is taken from it.

    Raises
    ------
    CourseError
        When that is not enough; the exit code is that of the student's work.
    OSError, ValueError, …
        `BROKEN`, when it is damaged, or no such archive.
    """
    with archive.open("rb") as file:
        yield from (_in_zip if zipped else _in_tar)(file, budget)


def _in_zip(file: IO[bytes], budget: Budget) -> Iterator[Member]:
    counted = _Counted(file, budget)
    counted.allow(LARGEST_DIRECTORY, "a list of files")
    with zipfile.ZipFile(cast("IO[bytes]", counted)) as archive:
        counted.allow(LARGEST_READ)
        for one in archive.infolist():
            budget.entry()
            if one.is_dir():
                continue
            if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others' memory has no limit
                raise NotImplementedError("it is not compressed as a zip usually is, by deflate")
            ordinary = stat.S_IFMT(one.external_attr >> 16) in (0, stat.S_IFREG)
            yield one.filename, ordinary, lambda one=one: archive.open(one)  # type: ignore[misc]


def _in_tar(file: IO[bytes], budget: Budget) -> Iterator[Member]:
    read = _Tar(_unpacked(file, budget), budget)
    with tarfile.TarFile(fileobj=cast("IO[bytes]", read)) as archive:
        while member := archive.next():
            archive.members.clear()  # type: ignore[attr-defined] # it would keep them all
            budget.entry()
            if member.issparse():
                raise NotImplementedError("it has sparse files")
            source = None if member.islnk() or member.issym() else archive.extractfile(member)
            read.content()
            if not member.isdir():
                yield member.name, member.isreg(), lambda source=source: source  # type: ignore[misc]
            while source and not source.closed and source.read(_BLOCK):
                pass
            read.headers()


def _unpacked(file: IO[bytes], budget: Budget) -> _Source:
    start = file.read(6)
    file.seek(0)
    packed = cast("IO[bytes]", _Counted(file, budget))
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    if start == b"\xfd7zXZ\0":
        return io.BufferedReader(_Unxz(packed), _BLOCK)
    return file
