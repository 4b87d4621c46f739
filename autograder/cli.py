"""The `autograder` command: grade a class of notebooks in a sandbox, and report the results."""

import argparse
import json
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from autograder.errors import STOPPED, AutograderError
from autograder.gradebook.records import Record, with_receipt
from autograder.submissions.job import Job
from autograder.text import drop_controls

if TYPE_CHECKING:
    from autograder.reports.marks import Marks

ASSIGNMENT = "project3"
Options = argparse.Namespace


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check_course(options)
        return options.run(options) or 0
    except AutograderError as error:
        print(drop_controls(f"autograder: {error}"), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:  # a full disk, for example
        named = f"{error.filename}: " if error.filename else ""
        print(f"autograder: {named}{error.strerror or error}. Fix that, then run the same "
              "command again: all results so far are kept.", file=sys.stderr)  # fmt: skip
        return 2
    except KeyboardInterrupt:
        return STOPPED


class Parser(argparse.ArgumentParser):
    """A parser whose errors say how to give a name that looks like an option."""

    def error(self, message: str) -> NoReturn:
        more = ". Write -- before a name that begins with -" if "STUDENT" in message else ""
        super().error(f"{message}{more}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="autograder",
        description="Grade a class of notebooks in a sandbox, and report the results.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[Options], int], text: str, *, course: bool = True
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        made.set_defaults(run=run)
        if course:
            where = "the course's folder (default: %(default)s)"
            made.add_argument("--course", type=Path, default=Path("course"), help=where)
            which = "the assignment's name (default: %(default)s)"
            made.add_argument("--assignment", default=ASSIGNMENT, help=which)
        return made

    text = "attack the sandbox on this machine, to test that each of its limits holds"
    doctor = command("doctor", run_doctor, text, course=False)
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    text = "grade new and changed submissions, and enter the marks in the gradebook"
    _add_grading(command("grade", run_grade, text), again=False)
    text = "grade submissions again, whether or not they have changed, and enter the marks"
    _add_grading(command("regrade", run_grade, text), again=True)
    text = "count the notebooks in each state, and list what needs you"
    _add_roster(command("status", run_status, text))
    report = command("report", run_report, "write a web page about the class")
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"), metavar="FILE",
                        help="the page to write (default: %(default)s)")  # fmt: skip
    _add_export(command("export", run_export, "write the marks in the format of another system"))
    explain = command("explain", run_explain, "show the points and hints of one student")
    explain.add_argument("student", metavar="STUDENT", help="the student's folder in submitted/")
    return parser


def _add_grading(parser: argparse.ArgumentParser, again: bool) -> None:
    parser.set_defaults(again=again)
    add = parser.add_argument
    add("students", nargs="*", metavar="STUDENT", help="grade only these (default: all)")
    text = "number of worker processes (default: one per core, %(default)s)"
    add("--workers", type=_positive, default=os.cpu_count(), metavar="N", help=text)
    text = "grade only part I of N of the class, and enter no marks: run `autograder grade` later"
    add("--shard", metavar="I/N", help=text)
    add("--scheduler", metavar="ADDRESS", help="grade on the Dask cluster with this scheduler")
    text = "run student code without a sandbox: it can do anything that you can do"
    add("--unsafe", action="store_true", help=text)
    if again:
        text = "grade only this notebook, such as 03_ddpm_ddim; may be repeated (default: all)"
        add("--notebook", action="append", default=[], metavar="NAME", help=text)


def _add_export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("kind", choices=("csv", "canvas", "moodle", "gradescope"), help="the format")
    text = "the file to write; the folder for gradescope (default: marks.csv, or the format's name)"
    add("-o", "--output", type=Path, metavar="FILE", help=text)
    text = "the roster's column for the marks (default: the assignment's name; `Grade` in Moodle)"
    add("--into", metavar="NAME", help=text)
    _add_roster(parser)


def _add_roster(parser: argparse.ArgumentParser) -> None:
    text = "the list of students that another system exported; an export keeps its rows and ids"
    parser.add_argument("--roster", type=Path, metavar="FILE", help=text)
    text = "the roster's column that holds the names in submitted/ (default: the best match)"
    parser.add_argument("--column", metavar="NAME", help=text)


def _check_course(options: Options) -> None:
    """Raise AutograderError if the course's folder does not exist: a typo must not create one."""
    if not (course := getattr(options, "course", Path())).is_dir():
        raise AutograderError(
            f"{course} is not a folder. Name the course's folder with --course, or run this in the "
            "folder that holds `course` (`make course` creates it)."
        )
    if "?" in str(course.resolve()):  # nbgrader would cut the database's address there
        raise AutograderError(
            f"{course.resolve()} holds a question mark, and nbgrader cannot keep its gradebook in "
            "such a folder: rename it."
        )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= 1")
    return int(text)


def run_doctor(options: Options) -> int:
    """Test every limit of the sandbox; 1 if one does not hold."""
    from autograder.sandbox import doctor
    from autograder.sandbox.process import ForkServer

    with ForkServer() as fork_server:
        findings = doctor.diagnose(fork_server)
    if options.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        print(doctor.render(findings))
    return 0 if all(finding.ok for finding in findings) else 1


def run_grade(options: Options) -> int:
    """Grade, then enter the marks."""
    from autograder.grading.class_run import grade

    return grade(options)


def run_status(options: Options) -> int:
    """Print the number of notebooks in each state, and what needs a person."""
    from autograder.grading.class_run import line_of
    from autograder.reports import status
    from autograder.reports.roster import match, read_roster
    from autograder.submissions.intake import remarks

    current = _current(options)
    counts = Counter("waiting" if record is None else record["state"] for _, record in current)
    students = {job.student for job, _ in current}
    print(f"{len(students)} students, {len(current)} notebooks")
    for state in ("graded", "missing", "rejected", "failed", "waiting"):
        print(f"{counts[state]:6d} {state}")
    course, assignment = options.course, options.assignment
    lines = status.why_waiting(course, current)
    for _, record in current:
        if record and record["state"] in ("rejected", "failed"):
            lines.append(line_of(record))
    lines += [*status.not_handed_in(current), *remarks(course, assignment)]
    lines += status.without_submission(course, assignment, current)
    if options.roster:
        lines += match(read_roster(options.roster), students, options.column).messages()
    print("".join(f"{line}\n" for line in lines), end="")
    return 0


def run_report(options: Options) -> int:
    """Write the page about the class."""
    from autograder.reports import answers, class_page

    current = _current(options)
    marks = _marks(options, current)
    page = class_page.render(marks, options.assignment, *answers.collect(current))
    _write(options.output, page)
    print(f"wrote {options.output}")
    return 0


def run_export(options: Options) -> int:
    """Write the marks in another system's format."""
    from autograder.reports.export import Target, export
    from mnistdiff.errors import MnistdiffError

    marks = _marks(options, _current(options))
    name = "marks" if options.kind == "csv" else options.kind
    path = options.output or Path(name if options.kind == "gradescope" else f"{name}.csv")
    target = Target(options.roster, options.column, options.into)
    try:
        messages = export(options.kind, marks, options.assignment, path, target)
    except MnistdiffError as error:
        raise AutograderError(str(error)) from None
    for sentence in messages:
        print(sentence, file=sys.stderr)
    print(f"wrote {path}")
    return 0


def run_explain(options: Options) -> int:
    """Print one student's marks, and the reason for each."""
    from autograder.reports.explain import explain

    student = unicodedata.normalize("NFC", options.student)
    marks = _marks(options, _current(options))
    row = next((row for row in marks.rows if row.student == student and row.records), None)
    if row is None:
        raise AutograderError(
            f"{student}: no graded notebook. Check the name, or run `autograder grade` first."
        )
    print(explain(row, marks.most))
    return 0


def _marks(options: Options, current: list[tuple[Job, Record | None]]) -> "Marks":
    """Return the marks of the class, after bringing the gradebook up to date.

    A due date, an extension or a mark by hand may be newer than the penalties in it.
    """
    from autograder.gradebook import commit
    from autograder.reports.marks import tabulate
    from autograder.submissions.release import released_points

    records = _graded(current)
    commit.enter(options.course, options.assignment, commit.submissions(current))
    with commit.Gradebook(options.course, options.assignment) as book:
        given = book.given()
    released = released_points(options.course, options.assignment)
    return tabulate(records, released, given, {job.student for job, _ in current})


def _current(options: Options) -> list[tuple[Job, Record | None]]:
    from autograder.gradebook import ledger

    return ledger.current(options.course, options.assignment)


def _graded(current: list[tuple[Job, Record | None]]) -> list[Record]:
    """Return the records that there are. Raises AutograderError if there are none."""
    records = [with_receipt(record, job) for job, record in current if record]
    if not records:
        raise AutograderError("nothing is graded yet: run `autograder grade` first.")
    return records


def _write(path: Path, text: str) -> None:
    from mnistdiff.errors import MnistdiffError
    from mnistdiff.storage import check_writable, write_atomically

    try:
        check_writable(path)
        write_atomically(path, text.encode())
    except MnistdiffError as error:
        raise AutograderError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
