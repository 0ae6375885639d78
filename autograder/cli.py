"""The command line, `course …`.

Contract: each command is a thin layer over a function elsewhere. Exit codes: 0 done, 1 the student's work is not
there yet, 2 a fault of ours or of the set-up. Results go to stdout, progress and errors to stderr.
"""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from autograder.console import err, out, show_error, table
from autograder.errors import CourseError
from autograder.manifest import DAG_FILE
from autograder.observe.client import Extent
from autograder.paths import ROOT

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A course week on data orchestration: run it, test it, grade it.",
)


def _writable(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before the work that it is to hold."""
    if path:
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            _beside(path).touch()
            _beside(path).unlink()
        except OSError as error:
            raise CourseError(
                f"The result cannot be written to {path.name}: {error.strerror}.",
                where=str(path.absolute()),
                todo="Name a file in a folder that is there, and that you may write to.",
            ) from error
    return path


Data = Annotated[
    Path | None,
    typer.Option(resolve_path=True, help="A folder of real TLC files to read in place of generated months."),
]
Json = Annotated[
    Path | None, typer.Option("--json", callback=_writable, help="Also write the result to this file, as JSON.")
]


@app.command()
def run(
    data: Data = None,
    json_file: Json = None,
) -> None:
    """Run the week's pipeline for real: notebook, DAG, backfill twice, and two graded submissions."""
    from autograder.run import main_job

    result = main_job(data=data)
    _write_json(json_file, result)
    table(
        "The backfill, 2024-01 to 2024-07, run twice",
        ["month", "state", "in file", "of month", "raw_trips", "again", "fct_trips", "again"],
        [
            [
                run["logical_date"][:7], run["state"], run["source_rows"], run["in_month_rows"], run["raw_rows"],
                run["raw_rows_again"], run["fct_rows"], run["fct_rows_again"],
            ]
            for run in result["runs"]
        ],
    )  # fmt: skip
    same = "changed nothing" if result["rerun_identical"] else "CHANGED the tables"
    out.print(f"The second backfill {same}.\n")
    tiers = list(result["grades"]["reference"]["tiers"])
    table(
        "Graded by nbgrader",
        ["submission", *tiers, "total"],
        [
            [student, *(_points(one["tiers"][tier]) for tier in tiers), _points(one)]
            for student, one in result["grades"].items()
        ],
    )
    out.print(f"Done in {result['seconds']['total']:.0f} s.")
    if not result["rerun_identical"] or any(run["state"] != "success" for run in result["runs"]):
        raise CourseError("The backfill did not do what the chapter says.", where="the table above")


@app.command()
def airflow(data: Data = None) -> None:
    """Run your own Airflow, with its UI, on dags/; its runs and the warehouse stay for the next time."""
    from autograder.desk import mind, open_desk

    with open_desk(data) as desk:
        out.print("Stop it with Ctrl-C.")
        mind(desk)


@app.command()
def lab(
    data: Data = None,
    browser: Annotated[bool, typer.Option(help="Open JupyterLab in a browser.")] = True,
) -> None:
    """Open JupyterLab on the notebooks, with your own Airflow behind it."""
    from autograder.desk import jupyterlab, open_desk

    with open_desk(data) as desk:
        out.print("Stop both with Ctrl-C.")
        raise typer.Exit(2 if jupyterlab(desk, browser=browser) else 0)


@app.command("test")
def run_tests(
    pytest_arguments: Annotated[list[str] | None, typer.Argument(help="Arguments for pytest.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run the slow tests too.")] = False,
) -> None:
    """Run the linters and the tests."""
    checks = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]
    for module, *arguments in checks:
        _or_fail([sys.executable, "-m", module, *arguments])
    slow = ["-m", ""] if everything else []  # in place of pyproject.toml's
    _or_fail([sys.executable, "-m", "pytest", *slow, *(pytest_arguments or [])])


@app.command()
def build(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail on what differs, or is wrong.")] = False,
) -> None:
    """Make every derived file: notebooks, DAG files, release version, tables of points."""
    from autograder.build import build as make
    from autograder.build.content import disagreements, findings
    from autograder.manifest import load

    lines = make(check)
    if check:
        course = load()
        lines += [*disagreements(ROOT, course), *findings(ROOT, course)]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    if check and lines:
        raise CourseError(
            f"{len(lines)} things are not as they should be; see above.",
            todo="Mend them. ./course build makes what is made from something else.",
        )
    out.print("Everything is as it should be." if not lines else f"{len(lines)} files.")


@app.command()
def notebooks(
    names: Annotated[list[str] | None, typer.Argument(help="Chapters, such as 04; all by default.")] = None,
    student: Annotated[str, typer.Option(help="Whose schema in the warehouse they write to.")] = "default",
    data: Data = None,
    jobs: Annotated[int, typer.Option(min=1, help="Notebooks to run at a time.")] = 2,
    json_file: Json = None,
) -> None:
    """Run chapter notebooks from top to bottom, each on an Airflow of its own, and then their solutions."""
    from autograder.headless import run_notebooks

    results = run_notebooks(names or [], student=student, data=data, jobs=jobs)
    _write_json(json_file, [vars(one) for one in results])
    table(
        "Notebooks, top to bottom",
        ["chapter", "result", "exercises", "seconds"],
        [[one.chapter, "ran" if not one.error else "failed", one.exercises, one.seconds] for one in results],
    )
    if failed := [one for one in results if one.error]:
        told = "\n".join(f"{one.chapter}: {one.error}" for one in failed)
        raise CourseError(f"{len(failed)} of {len(results)} notebooks failed.\n{told}")


@app.command()
def observe(
    folder: Annotated[Path, typer.Argument(help="A submission: a notebook, or a folder with dags/.")],
    student: Annotated[str, typer.Option(help="Whose it is.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=_writable, help="Where to write the evidence, as JSON.")
    ],
    extent: Annotated[
        Extent, typer.Option(help="How much is played: the file is read, a student's own check, or all.")
    ] = "all",
) -> None:
    """Run a submission on a real Airflow, and write down what happened."""
    from autograder import checking

    _write_json(output, checking.observe(folder, student, extent))


@app.command()
def judge(
    evidence: Annotated[list[Path], typer.Argument(help="What `course observe` wrote: files, or folders of them.")],
    json_file: Json = None,
) -> None:
    """Judge evidence: each check's verdict, and the points of each tier; of several documents, a line each."""
    from autograder import checking

    documents = checking.judged_files(evidence)
    one = len(evidence) == 1 and not evidence[0].is_dir()
    _write_json(json_file, documents[0] if one else documents)
    if one:
        checking.tell_document(documents[0])
    else:
        tiers = list(documents[0]["tiers"])
        rows = [[d["student"], *(_points(d["tiers"][tier]) for tier in tiers), _points(d)] for d in documents]
        table("Points", ["student", *tiers, "total"], rows)
    _exit_unless_passed(documents)


@app.command()
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
    with Telling() as telling:
        records = grade_class(
            submissions, into, RealObserver(not unsafe, limit), jobs=jobs or os.cpu_count() or 1,
            told=telling.told, tick=telling.tick,
        )  # fmt: skip
    _write_json(json_file, records)
    tiers = list(records[0]["tiers"])
    rows = [
        [one["student"], one["outcome"].replace("_", " "),
         *("" if one["score"] is None else f"{one['tiers'][tier]['earned']:g}" for tier in tiers),
         "" if one["score"] is None else f"{one['score']:g}"]
        for one in records
    ]  # fmt: skip
    table("Grades", ["student", "outcome", *tiers, "total"], rows)
    out.print(f"In {into}: gradebook.db, grades.csv, graded/.", markup=False, soft_wrap=True)
    if any(one["outcome"] == "grader_fault" for one in records):
        raise typer.Exit(2)


@app.command()
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
    _write_json(json_file, told)
    counts = ["pass", "not_yet", "waiting", "could_not_check"]
    rows = [[one["id"], *(str(one[count]) for count in counts)] for one in told["checks"]]
    table("Checks, the hardest first", ["check", *(count.replace("_", " ") for count in counts)], rows)
    rows = [[one["trap"], str(len(one["students"])), ", ".join(one["students"][:5])] for one in told["traps"][:10]]
    if rows:
        table("Recognised mistakes", ["mistake", "students", "who"], rows)
    for one in told["alike"]:
        out.print(f"Alike, to look at: {' and '.join(one['students'])}. {one['why']}", markup=False, soft_wrap=True)
    out.print(f"The page: {folder.path / pages.REPORT}", markup=False, soft_wrap=True)


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="A check, such as minimum.dag-loads, or a tier.")] = None,
    folder: Annotated[Path, typer.Option(help="The submission: a notebook, or a folder with dags/.")] = Path(),
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever a file is saved.")] = False,
    json_file: Json = None,
) -> None:
    """Say how far a submission is, why, and what to do next."""
    if watch:
        if json_file:
            raise CourseError("--watch has no one result to write.", todo="Leave out --json, or --watch.")
        from autograder import watching

        watching.watch(folder, name)
        return
    from autograder import checking

    result = checking.check(folder, name)
    _write_json(json_file, result)
    _exit_unless_passed([result])


@app.command()
def solution(
    file: Annotated[str, typer.Argument(help="Which file of it.")] = DAG_FILE,
    folder: Annotated[Path, typer.Option(help="Your submission: a notebook, or a folder with dags/.")] = Path(),
) -> None:
    """Show the reference solution, once all visible checks of yours pass."""
    from autograder import checking

    out.print(checking.solution(folder, file), markup=False, soft_wrap=True, end="")


@app.command()
def hint(
    check_id: Annotated[str, typer.Argument(help="A check, such as minimum.dag-loads.")],
    number: Annotated[int, typer.Argument(help="Which hint: 1, 2 or 3.")] = 1,
) -> None:
    """Show a hint for a check."""
    from autograder.checks.feedback import TERMINAL, render_hint
    from autograder.manifest import load

    out.print(render_hint(load().check(check_id), number, TERMINAL), markup=False, soft_wrap=True)


@app.command()
def quiz(
    chapter: Annotated[
        str | None, typer.Option(help="A chapter's two digits, such as 05; else the whole week.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="For a class: Enter shows the answer.")] = False,
    html: Annotated[
        Path | None, typer.Option(callback=_writable, help="Write a page to this file, and ask nothing.")
    ] = None,
) -> None:
    """Ask the quiz in the terminal, or write it as a page."""
    from autograder import quiz_live
    from autograder.quiz import load, quiz_file
    from autograder.quiz_page import html_page

    asked = load(quiz_file(chapter))
    if html:
        html.write_text(html_page(asked), encoding="utf-8")
        out.print(f"Open {html} in a browser.", markup=False, soft_wrap=True)
    elif live:
        quiz_live.show(asked, input)
    else:
        quiz_live.take(asked, input)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="A benchmark of benchmarks/README.md, or all.")],
    json_file: Json = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each side is measured.")] = 3,
    chapter: Annotated[list[str] | None, typer.Option(help="For notebooks: which; all by default.")] = None,
    submissions: Annotated[int, typer.Option(min=1, help="For class: how many.")] = 20,
) -> None:
    """Measure how fast the course's Airflow is, beside Airflow as it comes."""
    from benchmarks import NAMES
    from benchmarks import run as measure

    names = NAMES if name == "all" else [name]
    result = measure(names, repeats, lambda line: err.print(line, markup=False), chapter or (), submissions)
    _write_json(json_file, [one.as_json() for one in result.figures])
    result.show()


@app.command()
def doctor() -> None:
    """Say what is wrong with this machine, and the remedy."""
    from autograder.doctor import examine

    if not examine():
        raise typer.Exit(2)


class Stopped(BaseException):
    """Raised when a signal asks us to end: Ctrl-C, a terminal that closes, a supervisor."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(number)


def main() -> NoReturn:
    """Run the command line, with errors told as the house tells them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, _stop)
    try:
        app(prog_name="./course")
    except CourseError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except Stopped as stopped:
        err.print("Stopped. Everything that was started has been ended.")
        sys.exit(128 + stopped.number)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        show_error(CourseError("The disk is full.", where=str(error.filename or ROOT), todo="Make room: about 1 GB."))
        sys.exit(2)
    sys.exit(0)


def _exit_unless_passed(documents: list[dict[str, Any]]) -> None:
    """Exit with 2 where a check could not be made, and with 1 where one has not passed."""
    outcomes = {check["verdict"] for document in documents for check in document["checks"]}
    if "could_not_check" in outcomes:
        raise typer.Exit(2)
    if outcomes - {"pass"}:
        raise typer.Exit(1)


def _points(grade: dict[str, float]) -> str:
    return f"{grade['score']:g} of {grade['max_score']:g}"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _write_json(path: Path | None, document: object) -> None:
    if path:
        _beside(path).write_text(json.dumps(document, indent=1) + "\n")
        _beside(path).rename(path)


def _or_fail(command: list[str]) -> None:
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise CourseError(f"`{' '.join(command[1:])}` failed; see above.", exit_code=1)
