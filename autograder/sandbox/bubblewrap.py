"""The bubblewrap command line around student code, and the environment that the code sees."""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from autograder.errors import AutograderError
from autograder.inside.namespaces import HELD

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
OPT = "/opt/course"
PACKAGE = Path(str(files("autograder")))  # the whole grader, including its checks
UNSAFE_PATH = f"{PACKAGE}:{PACKAGE.parent}"  # to import `inside` and `mnistdiff` without a sandbox
RIGHTS = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL")  # of the fork server, if the grader is root


def require_bubblewrap() -> str:
    """Return the path of `bwrap`. Raises AutograderError with the remedy if it is not installed."""
    if found := shutil.which("bwrap"):
        return found
    raise AutograderError(
        "bubblewrap (bwrap) is not installed, and student code is only run in its sandbox. "
        "Install it (Debian, Ubuntu: apt install bubblewrap), then run `autograder doctor`. To "
        "run student code with all your rights instead, pass --unsafe."
    )


def python_folders() -> list[str]:
    """Return the folders of this Python and of its packages, apart from those below /usr."""
    prefixes = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    outer = [p for p in sorted(prefixes) if not p.startswith("/usr")]
    return [p for p in outer if not any(p.startswith(f"{o}/") for o in outer)]


def environment() -> dict[str, str]:
    """Return all environment variables that student code sees."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "PYTHONPATH": OPT,
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "TORCHDYNAMO_DISABLE": "1",  # `torch.compile` would take longer than a cell may run
        "PIP_NO_INDEX": "1",  # otherwise each `%pip install` tries the network again and again
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "IPYTHONDIR": "/tmp/ipython",
        "MNISTDIFF_CACHE": "/tmp/mnistdiff",
        "MNISTDIFF_PROFILE": "smoke",
    }


def command(inner: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """Return the bubblewrap command line around `inner`; `extra` are further flags.

    The system and Python are read-only, and no file of the course is visible. bubblewrap
    carries its flags out in order, so the order of the topics matters.
    """
    return [
        require_bubblewrap(),
        *_process(),
        *_namespaces(),
        *_rights(),
        *_folders(),
        *_system(),
        *_python(),
        *_hidden_checks(),
        *_library(),
        *_kernel_files(),
        *_variables(),
        *extra,
        *_read_only_roots(),
        "--",
        *inner,
    ]


def _process() -> list[str]:
    return [
        "--die-with-parent",  # a killed grader leaves no sandbox
        "--new-session",  # nothing can be typed into the grader's terminal
        "--clearenv",  # the grader's variables may hold secrets
    ]


def _namespaces() -> list[str]:
    return [
        "--unshare-pid",  # no process of the host is visible, and none can be signalled
        "--unshare-net",  # no network, not even this machine's
        "--unshare-ipc",  # no shared memory of the host
        "--unshare-uts",  # a host name of its own
        "--unshare-cgroup-try",  # the host's control groups are hidden, where the kernel can
        *("--hostname", "sandbox"),  # the host's name says where the grader runs
    ]


def _rights() -> list[str]:
    if os.geteuid() != 0:
        return ["--unshare-user"]  # without root, only a user namespace allows the others
    # Children change to a user of their own, and then give up all rights.
    return ["--cap-drop", "ALL", *(word for right in RIGHTS for word in ("--cap-add", right))]


def _folders() -> list[str]:
    """An empty /tmp, and the parents of what is mounted later."""
    line = ["--tmpfs", "/tmp"]  # before Python, which may be installed below /tmp
    for folder in (OPT, *HELD, "/etc/fonts", *python_folders()):
        for parent in [*reversed(Path(folder).parents)][1:]:
            line += _folder(str(parent))
    return line


def _folder(path: str) -> list[str]:
    # By default bubblewrap makes a folder that only its own user may enter.
    return ["--perms", "0755", "--dir", path]


def _system() -> list[str]:
    """Programs, shared libraries and fonts, read-only; nothing else of /etc."""
    line = []
    for folder in (*SYSTEM, *SETTINGS):
        if os.path.islink(folder):  # e.g. /bin, which points to usr/bin
            line += ["--symlink", os.readlink(folder), folder]
        else:
            line += ["--ro-bind-try", folder, folder]  # not every system has /lib32
    return line


def _python() -> list[str]:
    """Python and its packages, read-only, and where they wait while /tmp is covered."""
    line = [word for folder in (OPT, *HELD) for word in _folder(folder)]
    for folder in python_folders():
        line += ["--ro-bind", folder, folder]
    return line


def is_in_sight(path: Path) -> bool:
    """Return whether a path lies in a folder that the sandbox shows: the system's or Python's."""
    return any(path.is_relative_to(folder) for folder in (*SYSTEM, *python_folders()))


def _hidden_checks() -> list[str]:
    """Cover the grader with an empty folder if it is installed in a folder that is visible."""
    if not is_in_sight(PACKAGE):
        return []
    return ["--tmpfs", str(PACKAGE), "--remount-ro", str(PACKAGE)]


def _library() -> list[str]:
    """The student's side of the grader and the library, read-only."""
    spec = find_spec("mnistdiff")  # importing it would import torch, which takes seconds
    assert spec is not None
    assert spec.origin is not None
    return [
        *("--ro-bind", str(PACKAGE / "inside"), f"{OPT}/inside"),
        *("--ro-bind", str(Path(spec.origin).parent), f"{OPT}/mnistdiff"),
    ]


def _kernel_files() -> list[str]:
    return [
        *("--dev", "/dev", "--proc", "/proc", "--chdir", "/tmp"),
        *("--dev-bind", "/dev/null", "/dev/zero"),  # /dev/zero gives memory that no limit counts
    ]


def _variables() -> list[str]:
    return [word for pair in environment().items() for word in ("--setenv", *pair)]


def _read_only_roots() -> list[str]:
    # The next sandbox would find what is written there.
    return ["--remount-ro", "/dev", "--remount-ro", "/"]
