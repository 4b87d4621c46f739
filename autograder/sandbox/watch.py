"""Watch a sandbox while it works: its time and its memory."""

import time
from collections.abc import Callable

LOOK_SECONDS = 0.25  # between measurements of what a sandbox uses


class SandboxDied(Exception):
    """The sandbox ended, or was killed, before it answered."""


class OverLimit(SandboxDied):
    """The grader killed the sandbox because it exceeded a limit."""


class Watch:
    """Called while waiting for an answer; raises OverLimit for too much time or memory.

    `resident()` returns the bytes of memory in use, of which there may be `most`.
    """

    def __init__(self, resident: Callable[[], int], most: int, seconds: float) -> None:
        self.resident, self.most, self.seconds = resident, most, seconds
        self.until = time.monotonic() + seconds
        self.next_look = time.monotonic() + LOOK_SECONDS

    def __call__(self) -> None:
        if (now := time.monotonic()) < self.next_look:
            return
        self.next_look = now + LOOK_SECONDS
        if now > self.until:
            raise OverLimit(f"it took longer than {self.seconds:g} s")
        if self.resident() > self.most:
            raise OverLimit(f"it took more than {self.most / (1 << 30):g} GB of memory")
