"""The command line, `course …`.

Contract: each command is a thin layer over a function elsewhere. Exit codes: 0 done, 1 the student's work is not
there yet, 2 a fault of ours or of the set-up. Results go to stdout, progress and errors to stderr.
"""

import errno
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from autograder import cli_grading
from autograder.cli_results import Data, Json, exit_unless_passed, points, writable, write_json
from autograder.console import err, out, show_error, table
from autograder.errors import CourseError
from autograder.manifest import DAG_FILE
from autograder.paths import ROOT

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A course week on data orchestration: run it, test it, grade it.",
)


@app.command()
def run(
    data: Data = None,
    json_file: Json = None,
) -> None:
    """Run the week's pipeline for real: notebook, DAG, backfill twice, and two graded submissions."""
    from autograder.run import main_job

    result = main_job(data=data)
    write_json(json_file, result)
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
            [student, *(points(one["tiers"][tier]) for tier in tiers), points(one)]
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
    write_json(json_file, [vars(one) for one in results])
    table(
        "Notebooks, top to bottom",
        ["chapter", "result", "exercises", "seconds"],
        [[one.chapter, "ran" if not one.error else "failed", one.exercises, one.seconds] for one in results],
    )
    if failed := [one for one in results if one.error]:
        told = "\n".join(f"{one.chapter}: {one.error}" for one in failed)
        raise CourseError(f"{len(failed)} of {len(results)} notebooks failed.\n{told}")


for command in (cli_grading.observe, cli_grading.judge, cli_grading.grade, cli_grading.report):
    app.command()(command)


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
    write_json(json_file, result)
    exit_unless_passed([result])


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
        Path | None, typer.Option(callback=writable, help="Write a page to this file, and ask nothing.")
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
    write_json(json_file, [one.as_json() for one in result.figures])
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


def _or_fail(command: list[str]) -> None:
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise CourseError(f"`{' '.join(command[1:])}` failed; see above.", exit_code=1)
