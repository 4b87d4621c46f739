"""Measure what the processes of a sandbox use, as the kernel counts it."""

import contextlib
import os
from pathlib import Path

SOCKET_BYTES = 416 << 10  # capacity of one socket: twice Linux's net.core.wmem_default
# What the kernel itself may hold for a process: 65,530 mappings, full pipes, terminals, threads.
PROCESS_BYTES = 24 << 20
# Lines of /proc/PID/status. Memory that was swapped out is in use, too.
WRITTEN = ("RssAnon:", "RssShmem:", "HugetlbPages:", "VmSwap:", "VmPTE:")


def children_of(pid: int) -> list[int]:
    """Return the children of a process, [] if it has ended.

    The kernel lists the children of each thread on its own. It lists the threads by age, and gives
    the children of one that ends to the oldest that is left, so the order of reading matters.
    """
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # it has ended
                text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found += map(int, text.split())
    return list(dict.fromkeys(found))


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
    """Return the number of sockets in the process's network namespace."""
    try:  # its first line is "sockets: used 3"
        return int(Path(f"/proc/{pid}/net/sockstat").read_text().split()[2])
    except (OSError, ValueError, IndexError):
        return 0


def written_by(pid: int) -> int:
    """Return the bytes of a process's own memory, and of memory shared within its sandbox."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line for line in text.splitlines() if line.startswith(WRITTEN)]
    return sum(int(line.split()[1]) for line in found) << 10


def written_below(parent: int) -> int:
    """Return the bytes that all descendants of a process have written, beyond what they share.

    Data in sockets belongs to the kernel, not to a process, so sockets count as full. So does the
    rest that the kernel may hold for a process.
    """
    shared = written_by(parent)
    sockets = sum(map(sockets_of, children_of(parent)))
    below = descendants_of(parent)
    written = sum(max(0, written_by(pid) - shared) for pid in below)
    return written + sockets * SOCKET_BYTES + len(below) * PROCESS_BYTES
