"""The commands for teachers: observe, judge and grade submissions, and report on a class.

Contract: as that of `autograder.cli`, which has them among its own.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli_results import Json, exit_unless_passed, points, writable, write_json
from autograder.console import out, table
from autograder.errors import CourseError
from autograder.observe.client import Extent
from autograder.paths import ROOT

FILES = {
    "grades.csv, grades.moodle.csv, grades.canvas.csv": "the points, for you and for Moodle or Canvas",
    "feedback/": "a page for each student",
    "report.html": "the class at a glance",
    "gradebook.db": "for formgrader, to mark by hand",
}
"""What a teacher finds in a class folder."""


def observe(
    folder: Annotated[Path, typer.Argument(help="A submission: a notebook, or a folder with dags/.")],
    student: Annotated[str, typer.Option(help="Whose it is.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=writable, help="Where to write the evidence, as JSON.")
    ],
    extent: Annotated[
        Extent, typer.Option(help="How much is played: the file is read, a student's own check, or all.")
    ] = "all",
) -> None:
    """Run a submission on a real Airflow, and write down what happened."""
    from autograder import checking

    write_json(output, checking.observe(folder, student, extent))


def judge(
    evidence: Annotated[list[Path], typer.Argument(help="What `course observe` wrote: files, or folders of them.")],
    json_file: Json = None,
) -> None:
    """Judge evidence: each check's verdict, and the points of each tier; of several documents, a line each."""
    from autograder import checking

    documents = checking.judged_files(evidence)
    one = len(evidence) == 1 and not evidence[0].is_dir()
    write_json(json_file, documents[0] if one else documents)
    if one:
        checking.tell_document(documents[0])
    else:
        tiers = list(documents[0]["tiers"])
        rows = [[d["student"], *(points(d["tiers"][tier]) for tier in tiers), points(d)] for d in documents]
        table("Points", ["student", *tiers, "total"], rows)
    exit_unless_passed(documents)


def grade(
    submissions: Annotated[
        Path, typer.Option(help="A folder with what each student handed in: a folder, a clone, a notebook, an archive.")
    ] = ROOT / "submitted",
    into: Annotated[Path, typer.Option(help="The class folder, for the gradebook, records and grades.csv.")] = ROOT,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="How many at once; as many as cores.")] = None,
    limit: Annotated[float, typer.Option(min=1, help="Seconds that one submission may take.")] = 900,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Run what students wrote in your account, without a sandbox.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Grade a class: run each submission in a sandbox, and write points into nbgrader's gradebook."""
    from autograder.grading.class_run import grade_class
    from autograder.grading.observers import RealObserver
    from autograder.grading.telling import Telling
    from autograder.sandbox import available

    if not unsafe and (why := available()):
        raise CourseError(
            f"There can be no sandbox here: {why}",
            todo="Or give --unsafe: then what students wrote runs in your account, and can read and change what you "
            "can: your files, the gradebook, other students' work.",
        )
    jobs = jobs or os.cpu_count() or 1
    with Telling(jobs) as telling:
        records = grade_class(
            submissions, into, RealObserver(not unsafe, limit), jobs=jobs, told=telling.told, tick=telling.tick
        )
    write_json(json_file, records)
    tiers = list(records[0]["tiers"])
    rows = [
        [one["student"], one["outcome"].replace("_", " "),
         *("" if one["score"] is None else f"{one['tiers'][tier]['earned']:g}" for tier in tiers),
         "" if one["score"] is None else f"{one['score']:g}"]
        for one in records
    ]  # fmt: skip
    table("Grades", ["student", "outcome", *tiers, "total"], rows)
    out.print(f"In {into.resolve()}:", markup=False, soft_wrap=True)
    for name, what in FILES.items():
        out.print(f"  {name:48}  {what}", markup=False, soft_wrap=True)
    if faults := sum(one["outcome"] == "grader_fault" for one in records):
        raise CourseError(
            f"{faults} of {len(records)} could not be graded, by no fault of theirs, and have no points.",
            where=str(into.resolve() / "graded" / "logs"),
            todo="Read the reasons above, and run ./course grade again: it tries only these.",
        )


def report(
    into: Annotated[Path, typer.Option(help="The class folder, in which ./course grade has been.")] = ROOT,
    json_file: Json = None,
) -> None:
    """Show what a class shows: hard checks, frequent mistakes, submissions to look at. Writes report.html."""
    from autograder.grading import pages
    from autograder.grading.records import ClassFolder
    from autograder.manifest import load

    folder = ClassFolder(into.resolve())
    if not folder.records():
        raise CourseError("Nothing has been graded here.", where=str(into), todo="Run ./course grade first.")
    told = pages.write_report(folder, load())
    if not told["students"]:
        raise CourseError(
            "What was graded here lies no longer where it was graded from, so nobody is left to report on.",
            where=str(folder.path),
            todo="Run ./course grade again, with the folder of submissions; what it has seen it does not run again.",
        )
    write_json(json_file, told)
    counts = ["pass", "not_yet", "waiting", "could_not_check"]
    rows = [[one["id"], *(str(one[count]) for count in counts)] for one in told["checks"]]
    table("Checks, the hardest first", ["check", *(count.replace("_", " ") for count in counts)], rows)
    rows = [[one["trap"], str(len(one["students"])), ", ".join(one["students"][:5])] for one in told["traps"][:10]]
    if rows:
        table("Recognised mistakes", ["mistake", "students", "who"], rows)
    for one in told["alike"]:
        out.print(f"Alike, to look at: {' and '.join(one['students'])}. {one['why']}", markup=False, soft_wrap=True)
    out.print(f"The page: {folder.path / pages.REPORT}", markup=False, soft_wrap=True)
