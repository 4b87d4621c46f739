"""Tests in a fork of this process, on a copy of the tree.

Importing torch and its companions takes seconds: they are imported once, here, and nothing of
`mnistdiff` or `autograder`, which each fork imports from its own tree.
"""

import compileall
import contextlib
import ctypes
import gc
import importlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from py_compile import PycInvalidationMode

COPIED = ("autograder", "book", "mnistdiff", "notebooks", "scripts", "solutions", "tests")
COPIED_FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
                "_config.yml", "_toc.yml", "constraints.txt", "pyproject.toml")  # fmt: skip
WARM = ("torch", "torchvision", "numpy", "scipy.stats", "matplotlib.pyplot", "safetensors.torch",
        "tqdm.auto", "mlxtend", "nbformat", "nbgrader.api", "jupyter_client", "papermill",
        "jupytext", "distributed", "torchmetrics", "PIL.Image", "torch.utils.data", "pytest",
        "diffusers.schedulers", "torchvision.datasets", "torch.testing", "sqlalchemy",
        "xml.etree.ElementTree", "http.server", "urllib.request", "tomllib")  # fmt: skip
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def warm_up() -> None:
    """Import what tests need beside the code under test."""
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    loaded = [name for name in sys.modules if name.split(".")[0] in ("mnistdiff", "autograder")]
    assert not loaded, f"{loaded[0]} is imported: a mutant of it would not be seen"
    importlib.import_module("torch").set_num_threads(1)
    become_subreaper()
    gc.freeze()  # a fork's collections leave alone what is imported here: four times as fast


def become_subreaper() -> None:
    """Make the orphans of a test children of this process, which can then end them."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def copy_tree(root: Path, tree: Path) -> None:
    """Copy what tests read; compiled code is checked by its content: a mutant has the same date."""
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "_vendor")
        shutil.copytree(root / name, tree / name, ignore=ignored)
    for name in COPIED_FILES:
        shutil.copyfile(root / name, tree / name)
    mode = PycInvalidationMode.CHECKED_HASH
    for name in ("autograder", "mnistdiff"):
        compileall.compile_dir(tree / name, quiet=1, invalidation_mode=mode)


def in_fork(tree: Path, work: Callable[[], int], log: Path, seconds: float) -> int | None:
    """Run `work` in a fork that sees `tree` first; its exit status, None when time is up."""
    if not (pid := os.fork()):
        status = 99
        try:
            _enter(tree, log)
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + seconds
    status = None
    while status is None and time.monotonic() < end:
        done, code = os.waitpid(pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if done else None
        time.sleep(0.0 if done else 0.02)
    _end_children()
    return status


def _enter(tree: Path, log: Path) -> None:
    os.setsid()
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)  # for the processes that tests start
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, file), (2, file)):
        os.dup2(source, target)


def _end_children() -> None:
    """End whatever a test left running; orphans have become children of this process."""
    me = os.getpid()
    while children := Path(f"/proc/{me}/task/{me}/children").read_text().split():
        for child in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)
