"""Is what students hand in understood, and what is wrong with it named?"""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograder.errors import CourseError
from autograder.grading import unpack as unpacking
from autograder.grading.realign import Notebook, grade_id, harmless, read_notebook, realign
from autograder.grading.submissions import HandedIn, handed_in, lay_out
from autograder.grading.unpack import unpack

ASSIGNMENT = "orchestrated_pipeline"
DAG = "%%writefile dags/taxi_pipeline.py\n"
BOOK = "%%writefile RUNBOOK.md\n"


def cell(name: str | None, source: str, kind: str = "code", **role: Any) -> dict[str, Any]:
    metadata = (
        {"nbgrader": {"grade_id": name, "grade": False, "solution": False, "locked": False, **role}} if name else {}
    )
    outputs: dict[str, Any] = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": name or "x", "metadata": metadata, "source": source, **outputs}


RELEASE: Notebook = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3"}},
    "cells": [
        cell("set-up", "from autograder.cells import check", locked=True),
        cell("dag", f"{DAG}raise NotImplementedError()", solution=True),
        cell("loads", 'check("loads")', grade=True, locked=True, points=2),
        cell("book", f"{BOOK}# Runbook", solution=True),
        cell("told", 'check("told")', grade=True, locked=True, points=3),
    ],
}


def notebook(change: Callable[[list[dict[str, Any]]], object] = lambda cells: None) -> Notebook:
    """Return the release notebook with answers, and a change."""
    made: Notebook = json.loads(json.dumps(RELEASE))
    made["cells"][1]["source"] = f"{DAG}mine = 1\n"
    made["cells"][3]["source"] = f"{BOOK}My runbook\n"
    change(made["cells"])
    return made


def aligned(change: Callable[[list[dict[str, Any]]], object]) -> tuple[list[tuple[str | None, str]], list[str]]:
    found, notes = realign(notebook(change), RELEASE)
    return [(grade_id(one), one["source"]) for one in found["cells"]], notes


WHOLE = [
    ("set-up", "from autograder.cells import check"),
    ("dag", f"{DAG}mine = 1\n"),
    ("loads", 'check("loads")'),
    ("book", f"{BOOK}My runbook\n"),
    ("told", 'check("told")'),
]


def test_a_sound_notebook_stays_as_it_is() -> None:
    assert aligned(lambda cells: None) == (WHOLE, [])


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda cells: cells.pop(2), "The cell loads was missing. It is as released again."),
        (lambda cells: cells.pop(0), "The cell set-up was missing. It is as released again."),
        (lambda cells: cells.insert(2, dict(cells[2])), "A copy of the cell loads was left out."),
        (lambda cells: cells[2].update(source="1.0"), "The cell loads was changed; it is as released again."),
        (lambda cells: cells[2].update(cell_type="markdown"), "The cell loads was changed; it is as released again."),
        (
            lambda cells: cells[1].update(cell_type="raw"),
            "The cell dag was made another kind of cell; it is code again.",
        ),
        (
            lambda cells: cells[1]["metadata"]["nbgrader"].update(grade_id="mine"),
            "The cell dag was called 'mine'; it was known by dags/taxi_pipeline.py, which it writes.",
        ),
        (
            lambda cells: cells[1].update(metadata={}),
            "The cell dag had lost its name; it was known by dags/taxi_pipeline.py, which it writes.",
        ),
        (
            lambda cells: cells.insert(2, cell("dag", f"{DAG}raise NotImplementedError()")),
            "The cell dag was there 2 times. The last one counts.",
        ),
        (
            lambda cells: cells.insert(1, cell("dag", f"{DAG}first = 1\n")),
            "The cell dag was there 2 times. The last one counts.",
        ),
    ],
)
def test_a_changed_notebook_is_put_right_and_the_repair_told(
    change: Callable[[list[dict[str, Any]]], object], note: str
) -> None:
    assert aligned(change) == (WHOLE, [note])


def test_a_cell_that_was_split_is_one_again() -> None:
    cells, notes = aligned(lambda cells: cells.insert(2, cell("dag", "more = 2\n", solution=True)))
    assert cells == [WHOLE[0], ("dag", f"{DAG}mine = 1\n\nmore = 2\n"), *WHOLE[2:]]
    assert notes == ["The cell dag was there 2 times. It had been split, and is one cell again."]


def test_an_answer_that_was_deleted_is_nothing_handed_in() -> None:
    cells, notes = aligned(lambda cells: cells.pop(1))
    assert cells == [WHOLE[0], ("dag", f"{DAG}raise NotImplementedError()"), *WHOLE[2:]]
    assert notes == ["The cell dag was missing. Nothing was handed in for it."]


def test_a_students_own_cells_stay_and_are_none_of_nbgraders() -> None:
    cells, notes = aligned(
        lambda cells: cells.insert(1, cell("extra", "%%writefile dags/helper.py\nx = 1\n", grade=True))
    )
    assert cells == [WHOLE[0], (None, "%%writefile dags/helper.py\nx = 1\n"), *WHOLE[1:]]
    assert notes == []


SCRIPT = "<script>fetch('/formgrader/api/grade/1', {method: 'PUT'})</script>"
SCRIPTS = {
    "markdown": [SCRIPT, f"text\n\n<div>\n{SCRIPT}\n</div>", "<img src=x onerror=alert(1)>", f"`x`{SCRIPT}"],
    "raw": [SCRIPT],
}


@pytest.mark.parametrize(("kind", "source"), [(kind, source) for kind, found in SCRIPTS.items() for source in found])
def test_no_script_of_a_students_runs_where_a_teacher_looks_at_it(kind: str, source: str) -> None:
    from nbconvert.filters import markdown2html

    page = markdown2html if kind == "markdown" else str  # what nbgrader's page makes of such a cell
    own = cell(None, source, kind) | {"metadata": {"tags": [SCRIPT]}, "attachments": {"x.svg": {}}}
    given = notebook(lambda cells: cells.append(own))
    assert "<script>fetch" in page(source) or "<img" in page(source)  # the control
    shown = harmless(given, RELEASE)
    assert shown["cells"][:-1] == given["cells"][:-1]
    assert shown["cells"][-1]["metadata"] == {}
    assert "<script" not in page(shown["cells"][-1]["source"])
    assert "<img" not in page(shown["cells"][-1]["source"])
    assert harmless(shown, RELEASE) == shown


def test_points_and_locks_are_ours() -> None:
    found, _ = realign(notebook(lambda cells: cells[2]["metadata"]["nbgrader"].update(points=500)), RELEASE)
    assert found["cells"][2] == RELEASE["cells"][2]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(json.dumps(notebook()).encode(encoding))
    found, notes = read_notebook(path)
    assert found["cells"] == notebook()["cells"]
    assert "notebooks are UTF-8" in notes[0]


def test_an_old_notebook_is_converted_and_a_newer_minor_read(tmp_path: Path) -> None:
    old = {
        "nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
        "worksheets": [{"cells": [{"cell_type": "code", "language": "python", "input": [f"{DAG}x = 1"], "outputs": [],
                                   "metadata": {}}], "metadata": {}}],
    }  # fmt: skip
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(old))
    found, notes = read_notebook(path)
    assert found["cells"][0]["source"] == f"{DAG}x = 1"
    assert notes == ["The notebook was of nbformat 3, and was converted to 4."]
    path.write_text(json.dumps(notebook() | {"nbformat_minor": 9}))
    assert read_notebook(path)[1] == ["The notebook is of nbformat 4.9, and was read as 4.5."]


@pytest.mark.parametrize(
    "text",
    ["", "not JSON", "[]", "{}", '{"cells": [1]}', '{"nbformat": 7, "cells": []}', "[" * 100_000, '{"cells": 3}'],
)
def test_what_is_no_notebook_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    with pytest.raises(CourseError, match="notebook cannot be read") as caught:
        read_notebook(path)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("depth", [110, 400, 900])
@pytest.mark.parametrize("of", ["cell", "notebook", "extra", "output"])
def test_a_notebook_that_is_nested_too_deeply_is_named(tmp_path: Path, depth: int, of: str) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = {"more": deep}
    made = notebook(lambda cells: cells.insert(0, cell(None, "mine")))
    place = {"cell": made["cells"][0]["metadata"], "notebook": made["metadata"], "extra": made}
    if of == "output":
        made["cells"][0]["outputs"] = [deep]
    else:
        place[of]["more"] = deep
    path = save(tmp_path / "in" / f"{ASSIGNMENT}.ipynb", json.dumps(made))
    with pytest.raises(CourseError, match="it is nested too deeply") as caught:
        lay_out(HandedIn("ada", path.parent), tmp_path / "out", RELEASE)
    assert caught.value.exit_code == 1


def save(path: Path, content: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook()) if content is None else content)
    return path


def zipped(**files: str | bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def test_students_are_found_in_each_layout(tmp_path: Path) -> None:
    save(tmp_path / "ada" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb")
    (tmp_path / "ada" / ASSIGNMENT / "timestamp.txt").write_text("2026-11-20 10:00:00 UTC\n")
    save(tmp_path / "bob" / "dags" / "taxi_pipeline.py", "")
    save(tmp_path / "cy.ipynb")
    (tmp_path / "di.tar.gz").write_bytes(b"")
    save(tmp_path / "Eve Ng_1234_assignsubmission_file" / "n.ipynb")
    save(tmp_path / ".DS_Store", "")
    found = {one.student: one for one in handed_in(tmp_path)}
    assert list(found) == ["Eve_Ng_1234", "ada", "bob", "cy", "di"]
    assert found["ada"].path == tmp_path / "ada" / ASSIGNMENT
    assert found["ada"].submitted == "2026-11-20 10:00:00 UTC"
    assert found["Eve_Ng_1234"].notes == ("Eve Ng_1234_assignsubmission_file is graded under the name Eve_Ng_1234.",)


def test_when_it_was_handed_in_is_taken_from_nbgraders_own_file_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the teacher")
    class_folder = tmp_path / "class"
    save(class_folder / "plain" / "dags" / "taxi_pipeline.py", "")
    (class_folder / "plain" / "timestamp.txt").write_text("2020-01-01 10:00:00 UTC\n")
    for student in ("link", "pipe"):
        save(class_folder / student / ASSIGNMENT / f"{ASSIGNMENT}.ipynb")
    (class_folder / "link" / ASSIGNMENT / "timestamp.txt").symlink_to(tmp_path / "secret")
    os.mkfifo(class_folder / "pipe" / ASSIGNMENT / "timestamp.txt")
    assert {one.student: one.submitted for one in handed_in(class_folder)} == {
        "link": None,
        "pipe": None,
        "plain": None,
    }


def test_who_handed_in_other_assignments_only_has_no_submission(tmp_path: Path) -> None:
    save(tmp_path / "ada" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb")
    save(tmp_path / "bob" / "another" / "another.ipynb")
    assert [one.student for one in handed_in(tmp_path)] == ["ada"]


def test_no_folder_and_an_empty_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no submission in"):
        handed_in(tmp_path)
    with pytest.raises(CourseError, match="no folder of submissions"):
        handed_in(tmp_path / "none")


def laid(tmp_path: Path) -> tuple[dict[str, str], list[str]]:
    found = lay_out(HandedIn("ada", tmp_path / "in"), tmp_path / "out", RELEASE)
    files = {
        str(path.relative_to(found.project)): path.read_text()
        for path in found.project.rglob("*")
        if path.is_file() and "include" not in path.parts
    }
    return files, found.notes


MINE = {"dags/taxi_pipeline.py": "mine = 1\n", "RUNBOOK.md": "My runbook\n"}


def test_a_notebook_is_laid_out(tmp_path: Path) -> None:
    save(tmp_path / "in" / f"{ASSIGNMENT}.ipynb")
    assert laid(tmp_path) == (MINE, [])


def test_a_notebook_of_another_name_deep_in_a_zip_in_a_zip_is_found(tmp_path: Path) -> None:
    inner = zipped(**{"week/final v2.ipynb": json.dumps(notebook())})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(zipped(**{"b.zip": inner, "__MACOSX/._b.zip": b"x"}))
    files, notes = laid(tmp_path)
    assert files == MINE
    assert notes == [
        "a.zip was unpacked.",
        "b.zip was unpacked.",
        f"The notebook is called final v2.ipynb; it was taken for {ASSIGNMENT}.ipynb.",
    ]


@pytest.mark.parametrize("name", ["ada.ipynb", "ada.zip"])
def test_a_notebook_that_is_called_as_its_student_is_nothing_to_note(tmp_path: Path, name: str) -> None:
    content = json.dumps(notebook()).encode()
    other = json.dumps(notebook() | {"cells": []})
    (tmp_path / name).write_bytes(
        zipped(**{"ada.ipynb": content, "a.ipynb": other.encode()}) if "zip" in name else content
    )
    assert lay_out(HandedIn("ada", tmp_path / name), tmp_path / "out", RELEASE).notes == []


def test_a_project_is_laid_out_and_what_is_not_text_of_it_stays_behind(tmp_path: Path) -> None:
    save(tmp_path / "in" / "repo" / "dags" / "taxi_pipeline.py", "mine = 1\n")
    save(tmp_path / "in" / "repo" / "RUNBOOK.md", "My runbook\n")
    save(tmp_path / "in" / "repo" / ".git" / "config", "")
    assert laid(tmp_path) == (MINE, ["The project was found in repo/."])


@pytest.mark.parametrize("packed", [True, False])
def test_what_macos_puts_beside_each_file_is_no_dag_file(tmp_path: Path, packed: bool) -> None:
    names = {
        "dags/._taxi_pipeline.py": "\0",
        "._dags": "\0",
        "dags/taxi_pipeline.py": "mine = 1\n",
        "RUNBOOK.md": "My runbook\n",
    }
    for name, text in names.items():
        save(tmp_path / ("to-pack" if packed else "in") / name, text)
    if packed:
        (tmp_path / "in").mkdir()
        with tarfile.open(tmp_path / "in" / "ada.tar.gz", "w:gz") as archive:
            for name in names:
                archive.add(tmp_path / "to-pack" / name, name)
    files, notes = laid(tmp_path)
    assert files == MINE
    assert notes == (["ada.tar.gz was unpacked."] if packed else [])


def test_a_file_beside_a_notebook_counts_where_its_cell_is_empty(tmp_path: Path) -> None:
    save(tmp_path / "in" / f"{ASSIGNMENT}.ipynb", json.dumps(RELEASE))
    save(tmp_path / "in" / "dags" / "taxi_pipeline.py", "mine = 1\n")
    files, notes = laid(tmp_path)
    assert files == {"dags/taxi_pipeline.py": "mine = 1\n", "RUNBOOK.md": "# Runbook\n"}
    assert notes == ["The cell dag was empty; dags/taxi_pipeline.py, which was handed in beside the notebook, counts."]


def test_a_lone_dag_file_is_taken(tmp_path: Path) -> None:
    save(tmp_path / "in" / "taxi_pipeline.py", "mine = 1\n")
    files, notes = laid(tmp_path)
    assert files["dags/taxi_pipeline.py"] == "mine = 1\n"
    assert notes == ["taxi_pipeline.py was taken for dags/taxi_pipeline.py."]


def test_nothing_to_grade_is_named(tmp_path: Path) -> None:
    save(tmp_path / "in" / "essay.docx", "")
    with pytest.raises(CourseError, match=r"neither orchestrated_pipeline.ipynb nor .* There is: essay.docx"):
        laid(tmp_path)


def test_names_that_lead_outside_and_links_are_left_out_of_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("../out.txt", "/abs.txt", "C:\\win.txt", "a/../../b.txt", "ok.txt"):
            archive.writestr(name, "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    notes = unpack(tmp_path / "a.zip", tmp_path / "into" / "here")
    assert [path.name for path in (tmp_path / "into").rglob("*") if path.is_file()] == ["ok.txt"]
    assert len(notes) == 5
    with tarfile.open(tmp_path / "a.tar", "w") as tarred:
        for kind, name in (
            (tarfile.SYMTYPE, "s"),
            (tarfile.LNKTYPE, "h"),
            (tarfile.FIFOTYPE, "f"),
            (tarfile.CHRTYPE, "c"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tarred.addfile(member)
        tarred.addfile(tarfile.TarInfo("../up"), io.BytesIO())
    assert len(unpack(tmp_path / "a.tar", tmp_path / "tar")) == 5
    assert list((tmp_path / "tar").iterdir()) == []


def test_links_and_pipes_in_a_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").symlink_to(tmp_path / "secret")
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in" / "pipe")
    notes = unpack(tmp_path / "in", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert sorted(note.split()[0] for note in notes) == ["file", "folder", "pipe"]


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LARGEST_TOTAL", 1000)
    (tmp_path / "bomb.zip").write_bytes(zipped(zeros=b"\0" * 100_000))
    with pytest.raises(CourseError, match="larger than") as caught:
        unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_a_broken_archive_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(CourseError, match="cannot be unpacked"):
        unpack(tmp_path / name, tmp_path / "out")


def test_a_damaged_compressed_archive_is_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:xz") as archive:
        entry = tarfile.TarInfo("notebook.ipynb")
        text = " ".join(map(str, range(100_000))).encode()
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    content = bytearray(whole.getvalue())
    for place in range(len(content) // 2, len(content) // 2 + 50):
        content[place] ^= 0x55
    (tmp_path / "a.tar.xz").write_bytes(content)
    with pytest.raises(CourseError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.xz", tmp_path / "out")


def test_a_notebook_of_no_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text('{"nbformat": 1e999, "cells": []}')
    with pytest.raises(CourseError) as caught:
        read_notebook(tmp_path / "a.ipynb")
    assert caught.value.exit_code == 1
