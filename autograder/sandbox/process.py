"""Student code in bubblewrap: a warm parent per worker, a fresh sandbox per notebook.

What the sandbox is made of, and what it does not protect: book/instructor.md.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

from autograder.inside.namespaces import WHOLE_PROC, Limits
from autograder.sandbox.bubblewrap import UNSAFE_PATH, command, environment, require_bubblewrap
from autograder.sandbox.usage import (
    SOCKET_BYTES,
    children_of,
    descendants_of,
    sockets_of,
    warm_parent_of,
    written_by,
)

FIRST_UID = 610_000  # of the sandboxes, where the grader is root
READY_SECONDS = 120  # until the warm parent has imported torch, on a slow disk
START_SECONDS = 20  # until a fork is ready
LOOK_SECONDS = 0.25  # between looks at what a sandbox takes


class SandboxDied(Exception):
    """The sandbox ended, or was ended, before it answered."""


class OverLimit(SandboxDied):
    """The grader ended the sandbox, which took more than it may."""


class ForkServer:
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
            raise SandboxDied(f"the warm parent does not answer ({type(error).__name__})") from None
        if not line:
            raise SandboxDied(f"the warm parent ended: {self._said()}")
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
                raise SandboxDied(f"the warm parent is gone ({type(error).__name__})") from None
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
        parent = warm_parent_of(self.process.pid)
        shared = written_by(parent)
        sockets = sum(map(sockets_of, children_of(parent)))
        written = sum(max(0, written_by(pid) - shared) for pid in descendants_of(parent))
        return written + sockets * SOCKET_BYTES

    def close(self) -> None:
        """End the warm parent, and with it every sandbox."""
        self._answers.close()
        self.orders.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sandbox:
    """One notebook's process, as the judge sees it: requests go in, values come out."""

    def __init__(self, fork_server: ForkServer, pid: int, channel: socket.socket) -> None:
        self.fork_server = fork_server
        self.pid = pid
        self.channel = channel
        started = self._read(START_SECONDS)
        if "failed" in started:
            self.close()
            raise SandboxDied(f"no sandbox could be made: {started['failed']}")

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer; past the deadline the sandbox is killed."""
        from autograder.inside import wire

        try:
            self.channel.settimeout(seconds)
            wire.send(self.channel, request)
            most = wire.largest(request.get("op", ""))
        except (wire.BrokenFrame, OSError) as broken:  # OSError: it was closed before
            self.close()
            raise SandboxDied(str(broken)) from None
        return self._read(seconds, most)

    def _read(self, seconds: float, most: int = 1 << 16) -> dict[str, Any]:
        from autograder.inside import wire

        try:
            self.channel.settimeout(LOOK_SECONDS)
            return wire.receive(self.channel, Watch(self.fork_server, seconds), most)
        except OverLimit:
            self.close()
            raise
        except wire.BrokenFrame as broken:
            self.close()
            raise SandboxDied(str(broken)) from None

    def close(self) -> None:
        """End every process of the sandbox."""
        if self.pid:
            self.fork_server.kill(self.pid)
            self.pid = 0
            self.channel.close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watch:
    """Called while an answer is awaited: raises OverLimit for too much time or memory."""

    def __init__(self, fork_server: ForkServer, seconds: float) -> None:
        self.fork_server, self.seconds = fork_server, seconds
        self.until = time.monotonic() + seconds
        self.next_look = time.monotonic() + LOOK_SECONDS

    def __call__(self) -> None:
        if (now := time.monotonic()) < self.next_look:
            return
        self.next_look = now + LOOK_SECONDS
        if now > self.until:
            raise OverLimit(f"it took longer than {self.seconds:g} s")
        if self.fork_server.resident() > (most := self.fork_server.limits.resident):
            raise OverLimit(f"it took more than {most / (1 << 30):g} GB of memory")
