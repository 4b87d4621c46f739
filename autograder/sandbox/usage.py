"""Measure what the processes of a sandbox use, as the kernel counts it."""

import contextlib
from pathlib import Path

SOCKET_BYTES = 416 << 10  # capacity of one socket: twice Linux's net.core.wmem_default


def children_of(pid: int) -> list[int]:
    """Return the children of a process, [] if it has ended."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants_of(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found = children_of(pid)
    return [*found, *(deeper for child in found for deeper in descendants_of(child))]


def warm_parent_of(pid: int) -> int:
    """Return the Python process below bubblewrap's own two processes."""
    with contextlib.suppress(OSError, IndexError):
        while Path(f"/proc/{pid}/comm").read_text().strip() == "bwrap":
            pid = children_of(pid)[0]
    return pid


def sockets_of(pid: int) -> int:
    """Return the number of sockets that can hold data in the process's network namespace."""
    try:
        lines = Path(f"/proc/{pid}/net/protocols").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[2]) for line in lines if line.startswith(("UNIX", "NETLINK")))


def written_by(pid: int) -> int:
    """Return the bytes of a process's own memory, and of memory shared within its sandbox."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line for line in text.splitlines() if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(int(line.split()[1]) for line in found) << 10


def written_below(parent: int) -> int:
    """Return the bytes that all descendants of a process have written, beyond what they share.

    Data in sockets belongs to the kernel, not to a process, so sockets count as full.
    """
    shared = written_by(parent)
    sockets = sum(map(sockets_of, children_of(parent)))
    written = sum(max(0, written_by(pid) - shared) for pid in descendants_of(parent))
    return written + sockets * SOCKET_BYTES
