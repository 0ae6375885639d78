"""Does an archive cost no more than an honest one, whatever it says of itself?"""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.grading import archives
from autograder.grading import unpack as unpacking
from autograder.grading.unpack import MOST_NOTES, unpack

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda tar: tar,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lambda tar: lzma.compress(tar, preset=0),
}


def tar(*entries: tuple[str, bytes], pax: dict[str, str] | None = None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT, pax_headers=pax) as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def refused(tmp_path: Path, name: str, content: bytes) -> str:
    """Return why an archive is refused; it is the student's."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CourseError) as caught:
        unpack(tmp_path / name, tmp_path / "out")
    assert caught.value.exit_code == 1
    assert caught.value.todo
    return caught.value.what


@pytest.mark.parametrize("kind", PACKERS)
def test_every_kind_is_read_past_what_tools_left(tmp_path: Path, kind: str) -> None:
    left = [(f".venv/{number}.py", b"x = 1\n" * 1000) for number in range(300)]
    content = PACKERS[kind](tar(*left, ("a/n.ipynb", b"{}"), *left, ("a/data.bin", b"\1" * 3_000_000)))
    (tmp_path / f"a.{kind}").write_bytes(content)
    assert unpack(tmp_path / f"a.{kind}", tmp_path / "out") == []
    found = {path.name: path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"n.ipynb": 2, "data.bin": 3_000_000}


def test_xz_in_parts_is_read_whole(tmp_path: Path) -> None:
    whole = tar(("n.ipynb", b"{}" * 50_000))
    parts = [lzma.compress(whole[start : start + 40_000]) for start in range(0, len(whole), 40_000)]
    (tmp_path / "a.tar.xz").write_bytes(b"\0\0\0\0".join(parts))
    unpack(tmp_path / "a.tar.xz", tmp_path / "out")
    assert (tmp_path / "out" / "n.ipynb").read_bytes() == b"{}" * 50_000


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_left_out_counts_too(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_READ", 5_000_000)
    content = PACKERS[kind](tar((".venv/bomb", b"\0" * 6_000_000), ("n.ipynb", b"{}")))
    assert "archives hold more than 5 MB" in refused(tmp_path, f"a.{kind}", content)


def test_archives_in_archives_share_what_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_READ", 5_000_000)
    inner = gzip.compress(tar((".venv/bomb", b"\0" * 2_000_000)))
    outer = tar(*((f"{number}.tgz", inner) for number in range(3)))
    assert "archives hold more than 5 MB" in refused(tmp_path, "a.tar", outer)


@pytest.mark.parametrize("kind", PACKERS)
def test_headers_have_a_size(tmp_path: Path, kind: str) -> None:
    size = 30_000_000
    for content in (
        tar(("n.ipynb", b"{}"), pax={"comment": "x" * size}),
        header(tarfile.GNUTYPE_LONGNAME, size) + b"a" * size,
    ):
        assert "a header of a size" in refused(tmp_path, f"a.{kind}", PACKERS[kind](content))


def test_headers_of_headers_have_a_size_together(tmp_path: Path) -> None:
    chain = (header(tarfile.GNUTYPE_LONGNAME, 100) + b"a".ljust(512, b"\0")) * 400
    assert "a header of a size" in refused(tmp_path, "a.tar", chain + header(tarfile.REGTYPE, 0))


@pytest.mark.parametrize("text", [b"0", b"4 ab", b"9 a=b\n"])
def test_headers_that_would_take_long_to_read_are_refused(tmp_path: Path, text: bytes) -> None:
    body = (text * 30_000)[:100_000].ljust(100 * 1024, b"=")
    assert "a header that cannot be read" in refused(tmp_path, "a.tar", header(tarfile.XHDTYPE, len(body)) + body)


def test_long_names_are_read(tmp_path: Path) -> None:
    name = f"{'x' * 180}/{'x' * 200}.ipynb"
    (tmp_path / "pax.tar").write_bytes(tar((name, b"{}"), pax={"comment": "of one\nand another line"}))
    old = io.BytesIO()
    with tarfile.open(fileobj=old, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
        archive.addfile(tarfile.TarInfo("n.ipynb"))
    (tmp_path / "gnu.tar").write_bytes(old.getvalue())
    for kind, files in (("pax", 1), ("gnu", 2)):
        assert unpack(tmp_path / f"{kind}.tar", tmp_path / kind) == []
        assert (tmp_path / kind / name).is_file()
        assert len([path for path in (tmp_path / kind).rglob("*") if path.is_file()]) == files


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    sparse = bytearray(header(tarfile.GNUTYPE_SPARSE, 512))
    sparse[386:410] = b"%011o\0%011o\0" % (0, 512)
    sparse[483:495] = b"%011o\0" % (8**11 - 1)
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    assert "sparse" in refused(tmp_path, "a.tar", bytes(sparse) + b"\0" * 512)


@pytest.mark.parametrize("pax", [{"size": "-1024"}, {}])
def test_a_size_below_nothing_is_no_loop(tmp_path: Path, pax: dict[str, str]) -> None:
    entry = tarfile.TarInfo("n.ipynb")
    entry.pax_headers = pax
    content = bytearray(entry.tobuf(tarfile.PAX_FORMAT))
    if not pax:
        content[124:136] = b"\xff" * 10 + struct.pack(">h", -1024)
        content[148:156] = b" " * 8
        content[148:156] = b"%06o\0 " % sum(content)
    (tmp_path / "a.tar").write_bytes(bytes(content) + tar(("b", b"")))
    with pytest.raises(CourseError) as caught:
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert caught.value.exit_code == 1


def test_unpacking_has_a_limit_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "XZ_MEMORY", 1_000_000)
    assert "Memory" in refused(tmp_path, "a.tar.xz", lzma.compress(tar(("n.ipynb", b"{}")), preset=6))


def many(zipped: bool, number: int, name: str = "{}.txt") -> bytes:
    if not zipped:
        return tar(*((name.format(one), b"") for one in range(number)))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for one in range(number):
            archive.writestr(name.format(one), "")
    return made.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_entries_are_counted_what_is_left_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 100)
    for name in ("node_modules/{}/", "../{}"):
        told = refused(tmp_path, "a.zip" if zipped else "a.tar", many(zipped, 101, name))
        assert told == "Its archives hold more than 100 entries."


def test_a_list_of_a_zips_files_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_DIRECTORY", 100_000)
    assert "a list of files of a size" in refused(tmp_path, "a.zip", many(True, 3000))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_by_a_method_without_a_limit_of_memory_is_refused(tmp_path: Path, method: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("n.ipynb", b"\0" * 1_000_000)
    assert "deflate" in refused(tmp_path, "a.zip", made.getvalue())


@pytest.mark.parametrize(("says", "why"), [(10, "cannot be unpacked"), (4_000_000_000, "larger than 0 MB")])
def test_what_a_zip_says_of_a_size_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: int, why: str
) -> None:
    monkeypatch.setattr(unpacking, "LARGEST_TOTAL", 900_000)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("n.ipynb", b"\0" * 1_000_000)
    content = made.getvalue().replace(struct.pack("<L", 1_000_000), struct.pack("<L", says))
    assert why in refused(tmp_path, "a.zip", content)


@pytest.mark.parametrize("zipped", [True, False])
def test_folders_in_folders_have_an_end(tmp_path: Path, zipped: bool) -> None:
    content = many(zipped, 1, "a/" * 1500 + "{}.txt")
    assert "deep" in refused(tmp_path, "a.zip" if zipped else "a.tar", content)


def test_notes_do_not_grow_with_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(many(True, 1000, "../" + "long" * 1000 + "{}"))
    notes = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert len(notes) == MOST_NOTES + 1
    assert max(map(len, notes)) < 300
    assert notes[-1] == f"{1000 - MOST_NOTES} more were left out for such reasons."
