"""The `autograder` command: grade a class, and tell what came out."""

import argparse
import json
import os
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from autograder.errors import STOPPED, AutograderError

ASSIGNMENT = "project3"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check_course(options)
        return options.run(options) or 0
    except AutograderError as error:
        print(f"autograder: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:  # a full disk, say
        named = f"{error.filename}: " if error.filename else ""
        print(f"autograder: {named}{error.strerror or error}. Mend that, then run the same "
              "command again: nothing graded is lost.", file=sys.stderr)  # fmt: skip
        return 2
    except KeyboardInterrupt:
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autograder", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        if name != "doctor":
            made.add_argument("--course", type=Path, default=Path("course"), help="its folder")
            made.add_argument("--assignment", default=ASSIGNMENT)
        return made

    doctor = command("doctor", run_doctor, "attack the sandbox on this machine: does it hold?")
    doctor.add_argument("--json", action="store_true")
    for name, text in (
        ("grade", "grade what is not graded yet, and enter the marks into the gradebook"),
        ("regrade", "grade again, whether graded before or not"),
    ):
        grade = command(name, run_grade, text)
        grade.set_defaults(again=name == "regrade")
        grade.add_argument("students", nargs="*", help="only these (default: all)")
        grade.add_argument("--workers", type=_positive, default=os.cpu_count())
        grade.add_argument("--shard", metavar="I/N", help="a part of the class; enters no marks")
        grade.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster")
        grade.add_argument(
            "--unsafe", action="store_true", help="without a sandbox: all your rights"
        )
    command("status", run_status, "what is graded, and what is not")
    report = command("report", run_report, "a page about the class")
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"))
    export = command("export", run_export, "marks for other systems")
    export.add_argument("kind", choices=("csv", "canvas", "moodle", "gradescope"))
    export.add_argument("-o", "--output", type=Path)
    export.add_argument("--roster", type=Path, help="the other system's own list of students")
    export.add_argument("--column", help="the roster's column that names students")
    explain = command("explain", run_explain, "why a student has these marks")
    explain.add_argument("student")
    return parser


def _check_course(options: argparse.Namespace) -> None:
    """A course that is not there is a slip of the pen, not one to begin."""
    if not (course := getattr(options, "course", Path())).is_dir():
        raise AutograderError(
            f"{course} is no folder: name the course's own with --course, or stand beside "
            "`course` (`make course` writes it)."
        )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)


def run_doctor(options: argparse.Namespace) -> int:
    """Every limit, attacked."""
    from autograder.sandbox import doctor
    from autograder.sandbox.process import ForkServer

    with ForkServer() as fork_server:
        findings = doctor.diagnose(fork_server)
    if options.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        print(doctor.render(findings))
    return 0 if all(finding.ok for finding in findings) else 1


def run_grade(options: argparse.Namespace) -> int:
    """Grade, then enter the marks."""
    from autograder.grading.class_run import grade

    return grade(options)


def run_status(options: argparse.Namespace) -> int:
    """Counts of states, and whatever needs a person."""
    from autograder.gradebook import ledger
    from autograder.grading.class_run import line_of
    from autograder.submissions.intake import passed_over

    current = ledger.current(options.course, options.assignment)
    counts = Counter("waiting" if record is None else record["state"] for _, record in current)
    students = len({job.student for job, _ in current})
    print(f"{students} students, {len(current)} notebooks")
    for state in ("graded", "missing", "rejected", "failed", "waiting"):
        print(f"{counts[state]:6d} {state}")
    missing: dict[str, list[str]] = {}
    for job, record in current:
        if record and record["state"] in ("rejected", "failed"):
            print(line_of(record))
        elif record and record["state"] == "missing":
            missing.setdefault(job.notebook, []).append(job.student)
    for notebook, who in sorted(missing.items()):
        print(f"{notebook}: not handed in by {', '.join(who)}")
    print("".join(f"{line}\n" for line in passed_over(options.course, options.assignment)), end="")
    return 0


def run_report(options: argparse.Namespace) -> int:
    """The page of the class."""
    from autograder.reports.class_page import render

    records = _records(options)
    gradebook = _gradebook(options)
    answers, released = _answers(options)
    _write(options.output, render(records, options.assignment, answers, released, *gradebook))
    print(f"wrote {options.output}")
    return 0


def run_export(options: argparse.Namespace) -> int:
    """Marks in another system's format."""
    from autograder.reports.export import export
    from mnistdiff.errors import MnistdiffError

    records = _records(options)
    by_hand, penalties = _gradebook(options)
    folder = options.kind == "gradescope"
    name = "marks" if options.kind == "csv" else options.kind
    path = options.output or Path(name if folder else f"{name}.csv")
    about = (options.assignment, path, options.roster, penalties, options.column)
    try:
        said = export(options.kind, records, by_hand, *about)
    except MnistdiffError as error:
        raise AutograderError(str(error)) from None
    for sentence in said:
        print(sentence, file=sys.stderr)
    print(f"wrote {path}")
    return 0


def _gradebook(options: argparse.Namespace) -> tuple[dict, dict[str, float]]:
    """What people gave by hand, and what lateness costs each student."""
    from autograder.gradebook.commit import Gradebook

    with Gradebook(options.course, options.assignment) as book:
        return book.by_hand(), book.penalties()


def run_explain(options: argparse.Namespace) -> int:
    """One student's marks."""
    from autograder.reports.explain import explain
    from autograder.reports.marks import tabulate

    student = unicodedata.normalize("NFC", options.student)
    records = [r for r in _records(options) if r["student"] == student]
    if not records:
        raise AutograderError(f"nothing of {student} is graded yet.")
    (row,) = tabulate(records, *_gradebook(options)).rows
    print(explain(student, records, row.points, row.penalty))
    return 0


def _records(options: argparse.Namespace) -> list[dict[str, Any]]:
    from autograder.gradebook import ledger

    current = ledger.current(options.course, options.assignment)
    records = [record | {"received": job.received} for job, record in current if record]
    if not records:
        raise AutograderError("nothing is graded yet: run `autograder grade` first.")
    return records


def _answers(options: argparse.Namespace) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """What each student wrote, by the name of the cell; and what they were given."""
    import nbformat

    from autograder.gradebook import ledger
    from autograder.submissions.cells import is_answer, role_of
    from autograder.submissions.reading import UnreadableNotebook, read_notebook
    from autograder.submissions.rebuild import rebuild

    found: dict[str, dict[str, str]] = {}
    given: dict[str, str] = {}
    for job, record in ledger.current(options.course, options.assignment):
        if record is None or record["state"] != "graded":
            continue
        try:
            released = nbformat.read(job.released, as_version=4)
            given |= {role_of(c)["grade_id"]: c.source for c in filter(is_answer, released.cells)}
            cells = rebuild(released, read_notebook(job.spooled)).notebook.cells
        except UnreadableNotebook:
            continue
        for cell in filter(is_answer, cells):
            if role_of(cell)["grade_id"] not in record["verdict"]["blank"]:
                found.setdefault(job.student, {})[role_of(cell)["grade_id"]] = cell.source
    return found, given


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
