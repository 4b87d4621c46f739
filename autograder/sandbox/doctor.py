"""Test each limit of the sandbox on this machine, by attacking it from inside.

The attacks are in `attacks`; this module checks what they cannot see from inside.
"""

import contextlib
import dataclasses
import inspect
import json
import os
import socket
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autograder.errors import AutograderError
from autograder.sandbox import attacks, leaks
from autograder.sandbox.bubblewrap import (
    PACKAGE,
    SETTINGS,
    environment,
    is_in_sight,
    python_folders,
)
from autograder.sandbox.process import ForkServer, Sandbox
from autograder.sandbox.watch import SandboxDied

MEGABYTE = 1 << 20
PARTS = ("network", "files", "secrets", "processes", "memory", "time", "disk", "rights")
SECONDS = 20.0  # for an attack that should end by itself
ROOT = PACKAGE.parent
NAMESPACES = (
    "Allow bubblewrap to create namespaces. Ubuntu from 23.10: an AppArmor profile for bwrap, or "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0. Debian before 11: sysctl "
    "kernel.unprivileged_userns_clone=1. In a container: start it with --privileged, or grade "
    "outside it."
)
REPORT = "Grade on another machine, and report this with the output of `autograder doctor --json`."
MEMORY = "Grade on Linux 5.14 or newer, on x86-64 or 64-bit ARM: this limit needs it."


class Finding(NamedTuple):
    """The result of one attack."""

    name: str
    limit: str  # as stated
    measured: str
    ok: bool
    remedy: str  # "" if the limit holds


class Doctor:
    """Attacks on sandboxes of one fork server, and their findings."""

    def __init__(self, fork_server: ForkServer) -> None:
        self.fork_server = fork_server
        self.limits = fork_server.limits
        self.findings: list[Finding] = []

    def note(self, name: str, limit: str, ok: bool, measured: str, remedy: str = REPORT) -> None:
        self.findings.append(Finding(name, limit, measured, ok, "" if ok else remedy))

    @contextlib.contextmanager
    def sandbox(self, **changes: Any) -> Iterator[Sandbox]:
        """Yield a fresh sandbox with some limits changed."""
        self.fork_server.limits = dataclasses.replace(self.limits, **changes)
        try:
            with self.fork_server.spawn() as sandbox:
                yield sandbox
        finally:
            self.fork_server.limits = self.limits

    def attack(
        self, sandbox: Sandbox, name: str, seconds: float = SECONDS, wait: float = 3, **given: Any
    ) -> dict[str, Any]:
        """Run an attack as a cell, and return the sandbox's answer."""
        source = inspect.getsource(attacks if hasattr(attacks, name) else leaks)
        source += f"\nimport json\nprint(json.dumps({name}(**{given!r})))"
        return sandbox.ask(seconds + wait, op="cell", source=source, limit=seconds)

    def measure(self, sandbox: Sandbox, name: str, **given: Any) -> tuple[bool, str]:
        """Return whether the sandbox held against an attack, and what was measured."""
        answer = self.attack(sandbox, name, **given).get("value", {})
        try:
            last = answer["outputs"][0]["text"].splitlines()[-1]
            held, measured = json.loads(last)
        except (KeyError, IndexError, TypeError, ValueError):
            return False, f"the attack ended by itself: {answer.get('error') or answer}"[:200]
        return held, measured

    def try_it(self, name: str, limit: str, attack: str, fix: str = REPORT, **given: Any) -> None:
        """Note the finding of one attack in a fresh sandbox."""
        try:
            with self.sandbox() as sandbox:
                held, measured = self.measure(sandbox, attack, **given)
        except SandboxDied as died:
            held, measured = False, f"the sandbox ended: {died}"
        self.note(name, limit, held, measured, fix)

    def kill_it(
        self, name: str, limit: str, attack: str, seconds: tuple, changes: dict, **given: Any
    ) -> None:
        """Note whether the sandbox is killed; `seconds` until it is interrupted, then killed."""
        started = time.monotonic()
        with self.sandbox(**changes) as sandbox:
            try:
                self.attack(sandbox, attack, *seconds, **given)
            except SandboxDied as died:
                self.note(name, limit, True, f"{died} ({time.monotonic() - started:.1f} s)")
                return
        self.note(name, limit, False, "it was not killed")

    def network(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            args = "network_of_this_machine", NAMESPACES
            self.try_it("network: this machine", "none", *args, port=port)
        self.try_it("network: beyond", "none", "network_beyond", NAMESPACES)
        self.try_it("network: raw sockets", "none", "raw_sockets")

    def files(self) -> None:
        repository = [ROOT / n for n in ("", "solutions", "course", "tests", ".git")]
        system = ["/root", "/home", "/etc", "/etc/shadow", "/etc/passwd", "/var", "/sys", "/run"]
        places = [*repository, Path.home(), Path.cwd(), *map(Path, system)]
        # What lies beside an installed grader is Python's own; the grader itself is covered.
        paths = [str(p) for p in (PACKAGE, *(p for p in places if not is_in_sight(p)))]
        allowed = [*python_folders(), *SETTINGS]
        self.try_it("files: reading", "Python only", "reading", paths=paths, allowed=allowed)

    def secrets(self) -> None:
        outer = Path(f"/proc/{self.fork_server.process.pid}/environ").read_text().split("\0")
        given = {f"{name}={value}" for name, value in environment().items()}
        values = [pair.partition("=")[2] for pair in outer if pair not in given]
        secrets = [value for value in values if len(value) > 7 and "/" not in value]
        wanted = {pair for pair in outer if pair} - given | set(secrets)
        with self.sandbox() as sandbox:
            held, text = self.measure(sandbox, "environment")
        shown = [secret for secret in wanted if secret in text]
        measured = f"searched for {len(wanted)} texts, found {len(shown)}" if held else text
        self.note("environment", "no variable of the grader", held and not shown, measured)

    def processes(self) -> None:
        most = self.limits.processes
        self.try_it("processes", f"{most}", "processes", MEMORY, most=most)
        self.try_it("processes: threads", f"{most}", "threads", MEMORY, most=most)
        self.try_it("processes: seeing others", "none", "other_processes", NAMESPACES)
        limit = "none opened"
        self.try_it("processes: the sandbox's own", limit, "first_process", NAMESPACES)
        with subprocess.Popen(["sleep", "60"]) as victim:
            pids = [victim.pid, os.getpid(), self.fork_server.process.pid]
            with self.sandbox() as sandbox:
                held, measured = self.measure(sandbox, "signals", pids=pids)
            alive = victim.poll() is None
            self.note("processes: signals to others", "none", held and alive, measured, NAMESPACES)
            victim.kill()
        self.orphan()

    def orphan(self) -> None:
        name = f"orphan-{os.getpid()}"
        with self.sandbox() as sandbox:
            self.attack(sandbox, "orphan", seconds=5, title=name)
            there = running(name)
        until = time.monotonic() + 2
        while (left := running(name)) and time.monotonic() < until:
            time.sleep(0.01)
        measured = f"{there} started, {left} left"
        limit = "gone with its sandbox"
        self.note("processes: left behind", limit, there > 0 and not left, measured)

    def memory(self) -> None:
        size = self.limits.memory
        limit = f"{size // MEGABYTE} MB"
        self.try_it("memory: one process", limit, "memory_of_one", size=size + 256 * MEGABYTE)
        for name, attack, less, given in (
            ("several processes", "memory_together", 512, {}),
            ("processes of threads", "memory_of_threads", 512, {}),
            ("a thread's processes below others", "memory_of_a_grandchild", 512, {}),
            ("in sockets", "memory_in_sockets", 128, {}),
            ("in network sockets", "memory_in_sockets", 128, {"family": int(socket.AF_INET)}),
        ):
            limit = f"{self.limits.resident // MEGABYTE} MB (tried with {less})"
            changes = {"resident": less * MEGABYTE}
            self.kill_it(f"memory: {name}", limit, attack, (10, 1), changes, **given)
        self.try_it("memory: kept outside", "none", "memory_uncounted", MEMORY)

    def time(self) -> None:
        cell = "the deadline (tried with 1 s)"
        with self.sandbox() as sandbox:
            started = time.monotonic()
            answer = self.attack(sandbox, "endless", seconds=1)["value"]
            spent = f"interrupted after {time.monotonic() - started:.1f} s"
            self.note("time: endless loop", cell, answer["interrupted"], spent)
        self.kill_it("time: loop that eats interrupts", cell, "stubborn", (1, 1), {})
        self.kill_it("time: asleep, signals blocked", cell, "asleep", (1, 1), {})
        limit = f"{self.limits.cpu_seconds} s of CPU (tried with 2)"
        self.kill_it("time: CPU", limit, "stubborn", (10, 1), {"cpu_seconds": 2})

    def disk(self) -> None:
        self.try_it("files: writing", "/tmp, /dev/shm", "writing")
        most, home = self.limits.file_bytes, self.limits.home_bytes
        folders, limit = {"/tmp": home, "/dev/shm": 8 << 20}, f"{home // MEGABYTE} + 8 MB"
        self.try_it("disk: one file", f"{most // MEGABYTE} MB", "file_size", most=most)
        self.try_it("disk: all files", limit, "disk", most=folders)
        self.try_it("disk: number of files", "4096", "many_files", most=4096)
        with self.sandbox() as sandbox:
            answer = self.attack(sandbox, "flood")["value"]
        size = len(json.dumps(answer))
        self.note("output", "4 MB of a cell", size < 4 << 20, f"{size:,} bytes of 400 MB kept")

    def rights(self) -> None:
        self.try_it("rights: gaining some", "none", "rights")
        with self.sandbox() as sandbox:
            left, _ = self.measure(sandbox, "leave_behind")
        with self.sandbox() as sandbox:
            held, measured = self.measure(sandbox, "find_left")
        self.note("from one sandbox to the next", "nothing", left and held, measured)


def running(name: str) -> int:
    """Return the number of processes on this machine with that name."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            count += path.read_text().strip() == name
    return count


def diagnose(fork_server: ForkServer) -> list[Finding]:
    """Attack every limit, and return the findings.

    If no sandbox can be made, that is the only finding. Raises AutograderError with --unsafe.
    """
    if fork_server.unsafe:
        raise AutograderError(
            "--unsafe runs without a sandbox, so there is nothing to test: omit --unsafe."
        )
    doctor = Doctor(fork_server)
    started = time.monotonic()
    try:
        fork_server.spawn().close()
    except SandboxDied as died:
        return [Finding("sandbox", "one can be made", str(died), False, NAMESPACES)]
    doctor.note("sandbox", "one can be made", True, f"{time.monotonic() - started:.1f} s")
    for part in PARTS:
        try:
            getattr(doctor, part)()
        except (SandboxDied, KeyError) as error:
            doctor.note(part, "", False, f"the attack could not be made: {error!r}")
    return doctor.findings


def render(findings: list[Finding]) -> str:
    """Return a table for the terminal, with remedies below it."""
    wide = max(len(finding.name) for finding in findings)
    limits = max(len(finding.limit) for finding in findings)
    lines = []
    for finding in findings:
        mark = "held  " if finding.ok else "BROKEN"
        lines.append(f"{mark}  {finding.name:{wide}}  {finding.limit:{limits}}  {finding.measured}")
    broken = [finding for finding in findings if not finding.ok]
    for remedy in dict.fromkeys(finding.remedy for finding in broken):
        named = ", ".join(finding.name for finding in broken if finding.remedy == remedy)
        lines += ["", *textwrap.wrap(f"{named}: {remedy}", 98)]
    if not broken:
        lines += ["", f"All {len(findings)} limits hold on this machine."]
    return "\n".join(lines)
