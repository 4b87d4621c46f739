"""Student code in bubblewrap: a warm parent per worker, a fresh sandbox per notebook.

What the sandbox is made of, and what it does not protect: book/instructor.md.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autograder.errors import AutograderError
from autograder.inside.namespaces import HELD, WHOLE_PROC, Limits

FIRST_UID = 610_000  # of the sandboxes, where the grader is root
READY_SECONDS = 120  # until the warm parent has imported torch, on a slow disk
START_SECONDS = 20  # until a fork is ready
LOOK_SECONDS = 0.25  # between looks at what a sandbox takes
SOCKET_BYTES = 416 << 10  # that one socket can hold: twice Linux's net.core.wmem_default
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
OPT = "/opt/course"
HERE = Path(__file__).parent
UNSAFE_PATH = f"{HERE}:{HERE.parent}"
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
    if any(HERE.is_relative_to(folder) for folder in (*SYSTEM, *python_folders())):
        line += ["--tmpfs", str(HERE), "--remount-ro", str(HERE)]  # installed: it holds the checks
    line += ["--ro-bind", str(HERE / "inside"), f"{OPT}/inside"]
    line += ["--ro-bind", str(library), f"{OPT}/mnistdiff"]
    line += ["--dev", "/dev", "--proc", "/proc", "--chdir", "/tmp"]
    line += ["--dev-bind", "/dev/null", "/dev/zero"]  # else memory that no limit counts
    for name, value in environment().items():
        line += ["--setenv", name, value]
    # What is written there would be found by the next sandbox.
    return [*line, *extra, "--remount-ro", "/dev", "--remount-ro", "/", "--", *inner]


class Died(Exception):
    """The sandbox ended, or was ended, before it answered."""


class OverLimit(Died):
    """The grader ended the sandbox, which took more than it may."""


class Nursery:
    """The warm parent process of one worker."""

    def __init__(self, limits: Limits | None = None, unsafe: bool = False) -> None:
        self.limits = limits or Limits()
        self.unsafe = unsafe  # no sandbox: student code gets every right of the grader
        self.uid = FIRST_UID + os.getpid() % 1_000_000  # workers do not share a process limit
        if not unsafe:
            require_bubblewrap()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the parent
        ours, theirs = socket.socketpair()
        # bubblewrap hands on the descriptors that it inherits.
        inner = [sys.executable, "-m", "inside.fork_server", str(theirs.fileno())]
        self.process = subprocess.Popen(
            # Linux gives a /proc only to who sees a whole one; `furnish` covers this one again.
            inner if unsafe else command(inner, ["--bind", "/proc", WHOLE_PROC]),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,
            env=environment() | {"PYTHONPATH": UNSAFE_PATH} if unsafe else None,
        )
        theirs.close()
        self.orders = ours
        self.orders.settimeout(READY_SECONDS)
        self._answers = self.orders.makefile("r")
        self._ready = False

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._answers.readline()
        except (OSError, ValueError) as error:
            raise Died(f"the warm parent does not answer ({type(error).__name__})") from None
        if not line:
            raise Died(f"the warm parent ended: {self._said()}")
        return json.loads(line)

    def _said(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            return self._log.read()[-2000:].decode(errors="replace").strip()
        return ""

    def spawn(self) -> "Sandbox":
        """A fresh sandbox, ready for cells. Raises Died when there is none to be had."""
        ours, theirs = socket.socketpair()
        order = {"spawn": self.uid, "limits": dataclasses.asdict(self.limits)}
        order["unsafe"] = self.unsafe
        with contextlib.ExitStack() as unless_done, theirs:
            unless_done.callback(ours.close)
            if not self._ready:  # its imports go on beside the judge's own
                self._answer()
                self._ready = True
                self.orders.settimeout(START_SECONDS)
            try:
                socket.send_fds(self.orders, [json.dumps(order).encode()], [theirs.fileno()])
            except OSError as error:
                raise Died(f"the warm parent is gone ({type(error).__name__})") from None
            pid = self._answer()["pid"]
            unless_done.pop_all()
        return Sandbox(self, pid, ours)

    def kill(self, pid: int) -> int:
        """End a sandbox with all its processes; the exit status."""
        with contextlib.suppress(OSError):
            self.orders.sendall(json.dumps({"kill": pid}).encode())
            return self._answer()["status"]
        return -1

    def resident(self) -> int:
        """Bytes of memory that the sandboxes have written to, beyond what they share.

        What lies in sockets is the kernel's own, and no process's: those count as full.
        """
        parent = _warm(self.process.pid)
        shared = _written(parent)
        sockets = sum(map(_sockets, _children(parent)))
        written = sum(max(0, _written(pid) - shared) for pid in _below(parent))
        return written + sockets * SOCKET_BYTES

    def close(self) -> None:
        """End the warm parent, and with it every sandbox."""
        self._answers.close()
        self.orders.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sandbox:
    """One notebook's process, as the judge sees it: requests go in, values come out."""

    def __init__(self, nursery: Nursery, pid: int, channel: socket.socket) -> None:
        self.nursery = nursery
        self.pid = pid
        self.channel = channel
        started = self._read(START_SECONDS)
        if "failed" in started:
            self.close()
            raise Died(f"no sandbox could be made: {started['failed']}")

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer; past the deadline the sandbox is killed."""
        from autograder.inside import wire

        try:
            self.channel.settimeout(seconds)
            wire.send(self.channel, request)
            most = wire.largest(request.get("op", ""))
        except (wire.Broken, OSError) as broken:  # OSError: it was closed before
            self.close()
            raise Died(str(broken)) from None
        return self._read(seconds, most)

    def _read(self, seconds: float, most: int = 1 << 16) -> dict[str, Any]:
        from autograder.inside import wire

        try:
            self.channel.settimeout(LOOK_SECONDS)
            return wire.receive(self.channel, Watch(self.nursery, seconds), most)
        except OverLimit:
            self.close()
            raise
        except wire.Broken as broken:
            self.close()
            raise Died(str(broken)) from None

    def close(self) -> None:
        """End every process of the sandbox."""
        if self.pid:
            self.nursery.kill(self.pid)
            self.pid = 0
            self.channel.close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watch:
    """Called while an answer is awaited: raises OverLimit for too much time or memory."""

    def __init__(self, nursery: Nursery, seconds: float) -> None:
        self.nursery, self.seconds = nursery, seconds
        self.until = time.monotonic() + seconds
        self.next_look = time.monotonic() + LOOK_SECONDS

    def __call__(self) -> None:
        if (now := time.monotonic()) < self.next_look:
            return
        self.next_look = now + LOOK_SECONDS
        if now > self.until:
            raise OverLimit(f"it took longer than {self.seconds:g} s")
        if self.nursery.resident() > (most := self.nursery.limits.resident):
            raise OverLimit(f"it took more than {most / (1 << 30):g} GB of memory")


def _children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _below(pid: int) -> list[int]:
    """All descendants of a process."""
    found = _children(pid)
    return [*found, *(deeper for child in found for deeper in _below(child))]


def _warm(pid: int) -> int:
    """The Python process below bubblewrap's own two."""
    with contextlib.suppress(OSError, IndexError):
        while Path(f"/proc/{pid}/comm").read_text().strip() == "bwrap":
            pid = _children(pid)[0]
    return pid


def _sockets(pid: int) -> int:
    """How many sockets that can hold something there are in the network that a process sees."""
    try:
        lines = Path(f"/proc/{pid}/net/protocols").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[2]) for line in lines if line.startswith(("UNIX", "NETLINK")))


def _written(pid: int) -> int:
    """Bytes of a process's own memory, and of what it shares with others of its sandbox."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line for line in text.splitlines() if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(int(line.split()[1]) for line in found) << 10
