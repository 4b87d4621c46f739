"""Does the sandbox hold, and does the judge stand whatever comes out of it?"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small import filled, fixture, notebooks

from autograder.errors import AutograderError
from autograder.grading.notebook_run import grade_notebook
from autograder.inside.namespaces import Limits
from autograder.sandbox import bubblewrap, doctor
from autograder.sandbox.process import ForkServer, Sandbox
from autograder.sandbox.watch import SandboxDied

ROOT = Path(__file__).parents[2]

CANARY = "a-secret-of-the-grader"
needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bwrap is not installed")


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    """One fork server for all tests, with a secret in the environment that it starts from."""
    if not shutil.which("bwrap"):
        pytest.skip("bwrap is not installed")
    os.environ["DOCTOR_CANARY"] = CANARY
    try:
        with ForkServer() as fork_server:
            yield fork_server
    finally:
        del os.environ["DOCTOR_CANARY"]


@pytest.fixture(scope="module")
def findings(fork_server) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.diagnose(fork_server)}


# The doctor's attacks


@pytest.mark.parametrize(
    "name",
    [
        "sandbox",
        "network: this machine",
        "network: beyond",
        "network: raw sockets",
        "files: reading",
        "files: writing",
        "environment",
        "processes",
        "processes: threads",
        "processes: seeing others",
        "processes: the sandbox's own",
        "processes: signals to others",
        "processes: left behind",
        "memory: one process",
        "memory: several processes",
        "memory: processes of threads",
        "memory: a thread's processes below others",
        "memory: in sockets",
        "memory: in network sockets",
        "memory: kept outside",
        "time: endless loop",
        "time: loop that eats interrupts",
        "time: asleep, signals blocked",
        "time: CPU",
        "disk: one file",
        "disk: all files",
        "disk: number of files",
        "output",
        "rights: gaining some",
        "from one sandbox to the next",
    ],
)
def test_the_sandbox_holds_against(findings, name):
    assert findings[name].ok, findings[name]


def test_the_doctor_tells_every_finding(findings):
    text = doctor.render(list(findings.values()))
    assert all(f"held    {name}" in text for name in findings)
    assert f"All {len(findings)} limits hold" in text
    assert json.loads(json.dumps([finding._asdict() for finding in findings.values()]))


def test_the_doctor_finds_what_is_broken(monkeypatch):
    monkeypatch.setenv("DOCTOR_CANARY", CANARY)
    with ForkServer(unsafe=True) as fork_server:
        found = doctor.Doctor(fork_server)
        found.network()  # only what harms nobody where there is no sandbox
        found.files()
        found.secrets()
        with pytest.raises(AutograderError, match="--unsafe"):
            doctor.diagnose(fork_server)
    broken = {finding.name for finding in found.findings if not finding.ok}
    assert {"network: this machine", "files: reading", "environment"} <= broken
    text = doctor.render(found.findings)
    assert "BROKEN  environment" in text
    assert "AppArmor" in text


def test_a_sandbox_that_cannot_be_made_is_the_one_finding(fork_server, monkeypatch):
    monkeypatch.setattr(fork_server, "limits", Limits(home_bytes=-1))
    findings = doctor.diagnose(fork_server)
    assert [finding.ok for finding in findings] == [False]
    assert "no sandbox could be made" in findings[0].measured
    assert "AppArmor" in findings[0].remedy


def test_without_bubblewrap_the_remedy_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AutograderError, match=r"apt install bubblewrap.*--unsafe"):
        ForkServer()


# What a sandbox says


def run(sandbox: Sandbox, source: str, limit: float = 10) -> dict:
    return sandbox.ask(limit + 3, op="cell", source=source, limit=limit)["value"]


def test_paths_start_from_the_grader_and_the_repository():
    assert bubblewrap.PACKAGE == ROOT / "autograder"
    assert (bubblewrap.PACKAGE / "inside" / "fork_server.py").is_file()
    assert f"{ROOT / 'autograder'}:{ROOT}" == bubblewrap.UNSAFE_PATH
    assert doctor.ROOT == ROOT


def test_an_installed_grader_is_out_of_sight(monkeypatch):
    folders = [*bubblewrap.python_folders(), str(ROOT)]
    monkeypatch.setattr(bubblewrap, "python_folders", lambda: folders)
    hidden = str(ROOT / "autograder")
    script = f"import os; print(os.listdir({hidden!r}), sorted(os.listdir('/opt/course')))"
    done = subprocess.run(
        bubblewrap.command([sys.executable, "-c", script]), capture_output=True, text=True
    )
    assert done.stdout == "[] ['inside', 'mnistdiff']\n", done.stderr
    monkeypatch.setattr(doctor, "python_folders", lambda: folders)
    with ForkServer() as fork_server:
        found = doctor.Doctor(fork_server)
        found.files()  # what lies beside an installed grader is Python's own
    assert [finding for finding in found.findings if not finding.ok] == []


IMPORTS = """
import importlib, pkgutil, sys
before = set(sys.modules)
import matplotlib.pyplot as plt, mnistdiff, numpy as np, torch
for module in pkgutil.walk_packages(mnistdiff.__path__, "mnistdiff."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert error.name == "comfy", error
figure, (left, right) = plt.subplots(1, 2, layout="constrained")
figure.colorbar(left.imshow(torch.rand(4, 4)))
right.plot(np.arange(3), label="$x_t$")
right.legend()
plt.show()
packages = ("mnistdiff", "torch", "matplotlib", "numpy")
print(sorted(name for name in {*sys.modules} - before if name.split(".")[0] in packages))
"""


def test_a_fork_has_everything_imported_that_a_notebook_uses(fork_server):
    with fork_server.spawn() as sandbox:
        answer = run(sandbox, IMPORTS, limit=60)
    assert not answer["error"], answer
    assert answer["outputs"][0]["text"] == "[]\n"
    assert any("image/png" in output.get("data", {}) for output in answer["outputs"])


def test_two_sandboxes_at_once_do_not_meet(fork_server):
    with fork_server.spawn() as one, fork_server.spawn() as two:
        run(one, "open('/tmp/x', 'w').write('one'); x = 1")
        seen = run(two, "import os; print(os.path.exists('/tmp/x'), 'x' in globals())")
        assert seen["outputs"][0]["text"] == "False False\n"
        one.close()
        assert run(two, "print(2)")["outputs"][0]["text"] == "2\n"


def test_a_dead_sandbox_is_told_as_often_as_it_is_asked(fork_server):
    with fork_server.spawn() as sandbox:
        for _ in range(2):
            with pytest.raises(SandboxDied):
                run(sandbox, "import os; os._exit(0)")


GRADER = """
import sys
from autograder.sandbox.process import ForkServer
fork_server = ForkServer()
sandbox = fork_server.spawn()
forks = "import os; os.fork(); open('/proc/self/comm', 'w').write('left-over')"
sandbox.ask(9, op="cell", source=forks, limit=5)
print("ready", flush=True)
sys.stdin.read()
"""


@needs_bubblewrap
def test_a_grader_that_is_killed_leaves_no_sandbox():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", GRADER], env=environment, **pipes) as grader:
        assert grader.stdout.readline() == b"ready\n"
        assert doctor.running("left-over")
        grader.kill()
    for _ in range(100):
        if not doctor.running("left-over"):
            break
        time.sleep(0.05)
    assert not doctor.running("left-over")


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio; print(asyncio.run(asyncio.sleep(0, 'done')))",
        "import asyncio\nprint(await asyncio.sleep(0, 'done'))",
        "import subprocess; print(subprocess.check_output(['echo', 'done'], text=True), end='')",
        "done = !echo done\nprint(done[0])",
        "from concurrent.futures import ThreadPoolExecutor as Pool\n"
        "with Pool() as p: print(*p.map(str, ['done']))",
        "import multiprocessing as m\nwith m.Pool(2) as p: print(*p.map(str, ['done']))",
        "from torch.utils.data import DataLoader\n"
        "print(*(x[0] for x in DataLoader(['done'], num_workers=2)))",
    ],
    ids=["asyncio", "await", "subprocess", "shell", "threads", "processes", "loader"],
)
def test_what_is_refused_does_not_stop_honest_code(fork_server, source):
    with fork_server.spawn() as sandbox:
        answer = run(sandbox, source, limit=20)
    assert (answer["error"], answer["outputs"][0]["text"]) == ("", "done\n")


# Hostile cells


KL, SIGMA = fixture("kl_divergence/right_loops"), fixture("ddim_sigma/right_plain")
SPEAKS = """
import os, socket
for number in range(3, 64):
    try:
        if os.fstat(number).st_mode & 0o170000 == 0o140000:
            for _ in range(50):
                os.write(number, {data!r})
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    "hostile",
    [
        SPEAKS.format(data=b"\xff\x00garbage" * 40),
        SPEAKS.format(data=b"\xff" * 4 + bytes(4)),
        "import os; os.closerange(3, 256)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import ctypes; ctypes.string_at(0)",
    ],
    ids=["garbage", "4 GB", "closed", "killed", "segmentation fault"],
)
def test_a_hostile_cell_costs_itself_only(fork_server, hostile):
    released = notebooks("kl_divergence", "ddim_sigma")
    answers = {"kl_divergence": f"{hostile}\n{KL}", "ddim_sigma": SIGMA}
    graded = grade_notebook(released, filled(released, answers), ("a", "b"), fork_server)
    first, second = graded.verdict["cells"]
    assert first["points"] in (0.0, first["max"])
    assert second["points"] == second["max"], second
