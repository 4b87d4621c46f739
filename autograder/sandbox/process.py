"""Run student code in bubblewrap: one fork server per worker, a fresh sandbox per notebook.

book/instructor.md describes the sandbox and its limits.
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
from typing import Any

from autograder.inside.namespaces import WHOLE_PROC, Limits
from autograder.sandbox.bubblewrap import UNSAFE_PATH, command, environment, require_bubblewrap
from autograder.sandbox.usage import warm_parent_of, written_below
from autograder.sandbox.watch import LOOK_SECONDS, OverLimit, SandboxDied, Watch

FIRST_UID = 610_000  # of the sandboxes, where the grader is root
READY_SECONDS = 120  # until the fork server has imported torch from a slow disk
START_SECONDS = 20  # until a fork is ready


class ForkServer:
    """The process, warm with all imports, that forks the sandboxes of one worker."""

    def __init__(self, limits: Limits | None = None, unsafe: bool = False) -> None:
        self.limits = limits or Limits()
        self.unsafe = unsafe  # without a sandbox, student code has all rights of the grader
        self.uid = FIRST_UID + os.getpid() % 1_000_000  # the limit on processes counts per user
        if not unsafe:
            require_bubblewrap()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._home = tempfile.TemporaryDirectory()  # where notebooks write without a sandbox
        ours, theirs = socket.socketpair()
        # bubblewrap passes on the descriptors that it inherits.
        inner = [sys.executable, "-m", "inside.fork_server", str(theirs.fileno())]
        self.process = subprocess.Popen(
            # Linux lets a process mount /proc only if it sees a full one; `furnish` covers it.
            inner if unsafe else command(inner, ["--bind", "/proc", WHOLE_PROC]),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,
            cwd=self._home.name if unsafe else None,
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
            raise SandboxDied(f"the fork server does not answer ({type(error).__name__})") from None
        if not line:
            raise SandboxDied(f"the fork server ended: {self._last_output()}")
        return json.loads(line)

    def _last_output(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            return self._log.read()[-2000:].decode(errors="replace").strip()
        return ""

    def spawn(self) -> "Sandbox":
        """Return a fresh sandbox, ready for cells. Raises SandboxDied if none can be made."""
        ours, theirs = socket.socketpair()
        order = {"spawn": self.uid, "limits": dataclasses.asdict(self.limits)}
        order["unsafe"] = self.unsafe
        with contextlib.ExitStack() as unless_done, theirs:
            unless_done.callback(ours.close)
            if not self._ready:  # it imports while the worker does
                self._answer()
                self._ready = True
                self.orders.settimeout(START_SECONDS)
            try:
                socket.send_fds(self.orders, [json.dumps(order).encode()], [theirs.fileno()])
            except OSError as error:
                raise SandboxDied(f"the fork server is gone ({type(error).__name__})") from None
            pid = self._answer()["pid"]
            unless_done.pop_all()
        return Sandbox(self, pid, ours)

    def kill(self, pid: int) -> int:
        """End a sandbox with all its processes, and return its exit status; -1 if unknown."""
        with contextlib.suppress(OSError):
            self.orders.sendall(json.dumps({"kill": pid}).encode())
            return self._answer()["status"]
        return -1

    def resident(self) -> int:
        """Return the bytes of memory that the sandboxes have written to, beyond what they share."""
        return written_below(warm_parent_of(self.process.pid))

    def close(self) -> None:
        """End the fork server, and with it all its sandboxes."""
        self._answers.close()
        self.orders.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()
        self._home.cleanup()

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sandbox:
    """One notebook's process: the grader sends requests and receives values."""

    def __init__(self, fork_server: ForkServer, pid: int, channel: socket.socket) -> None:
        self.fork_server = fork_server
        self.pid = pid
        self.channel = channel
        started = self._read(START_SECONDS)
        if "failed" in started:
            self.close()
            raise SandboxDied(f"no sandbox could be made: {started['failed']}")

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises SandboxDied if the sandbox ends, or is killed after `seconds`.
        """
        from autograder.inside import wire

        try:
            self.channel.settimeout(seconds)
            wire.send(self.channel, request)
            most = wire.largest(request.get("op", ""))
        except (wire.BrokenFrame, OSError) as broken:  # OSError: the channel was closed
            self.close()
            raise SandboxDied(str(broken)) from None
        return self._read(seconds, most)

    def _read(self, seconds: float, most: int = 1 << 16) -> dict[str, Any]:
        from autograder.inside import wire

        try:
            self.channel.settimeout(LOOK_SECONDS)
            resident, limits = self.fork_server.resident, self.fork_server.limits
            watch = Watch(resident, limits.resident, seconds)
            return wire.receive(self.channel, watch, most)
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
