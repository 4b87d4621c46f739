"""The command line that shuts student code in, and the environment that it sees."""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import autograder
from autograder.errors import AutograderError
from autograder.inside.namespaces import HELD

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
OPT = "/opt/course"
PACKAGE = Path(autograder.__file__).parent  # the whole grader, its checks among it
UNSAFE_PATH = f"{PACKAGE}:{PACKAGE.parent}"
RIGHTS = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL")  # of the warm parent, where the grader is root


def require_bubblewrap() -> str:
    """The path of `bwrap`, or an AutograderError with the remedy."""
    if found := shutil.which("bwrap"):
        return found
    raise AutograderError(
        "there is no bubblewrap (bwrap) here, so student code cannot be shut in. Install it "
        "(Debian, Ubuntu: apt install bubblewrap), then run `autograder doctor`. To run student "
        "code with all your rights instead, say --unsafe."
    )


def python_folders() -> list[str]:
    """The folders of this Python and of what is installed for it."""
    prefixes = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    outer = [p for p in sorted(prefixes) if not p.startswith("/usr")]
    return [p for p in outer if not any(p.startswith(f"{o}/") for o in outer)]


def environment() -> dict[str, str]:
    """All that student code sees of the environment."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "PYTHONPATH": OPT,
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "PIP_NO_INDEX": "1",  # else each `%pip install` asks the network again and again
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "IPYTHONDIR": "/tmp/ipython",
        "MNISTDIFF_CACHE": "/tmp/mnistdiff",
        "MNISTDIFF_PROFILE": "smoke",
    }


def command(inner: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """bubblewrap around a command: read-only system and Python, nothing of the course."""
    library = Path(find_spec("mnistdiff").origin).parent  # importing it means torch: seconds
    line = [require_bubblewrap(), "--die-with-parent", "--new-session", "--clearenv"]
    line += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--hostname", "sandbox"]
    if os.geteuid() == 0:  # children change to a user of their own, then to no rights at all
        line += ["--cap-drop", "ALL", *(w for c in RIGHTS for w in ("--cap-add", c))]
    else:
        line += ["--unshare-user"]
    line += ["--tmpfs", "/tmp"]  # before Python, which may be installed below it
    for folder in (OPT, *HELD, "/etc/fonts", *python_folders()):  # else they are bubblewrap's only
        for parent in [*reversed(Path(folder).parents)][1:]:
            line += ["--perms", "0755", "--dir", str(parent)]
    for folder in (*SYSTEM, *SETTINGS):
        if os.path.islink(folder):
            line += ["--symlink", os.readlink(folder), folder]
        else:
            line += ["--ro-bind-try", folder, folder]
    for folder in (OPT, *HELD):
        line += ["--perms", "0755", "--dir", folder]
    for folder in python_folders():
        line += ["--ro-bind", folder, folder]
    if any(PACKAGE.is_relative_to(folder) for folder in (*SYSTEM, *python_folders())):
        line += [
            "--tmpfs",
            str(PACKAGE),
            "--remount-ro",
            str(PACKAGE),
        ]  # installed: it holds the checks
    line += ["--ro-bind", str(PACKAGE / "inside"), f"{OPT}/inside"]
    line += ["--ro-bind", str(library), f"{OPT}/mnistdiff"]
    line += ["--dev", "/dev", "--proc", "/proc", "--chdir", "/tmp"]
    line += ["--dev-bind", "/dev/null", "/dev/zero"]  # else memory that no limit counts
    for name, value in environment().items():
        line += ["--setenv", name, value]
    # What is written there would be found by the next sandbox.
    return [*line, *extra, "--remount-ro", "/dev", "--remount-ro", "/", "--", *inner]
