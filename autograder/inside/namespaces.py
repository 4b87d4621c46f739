"""Isolate one process: its own namespaces, private file systems, limits, and no rights.

Python 3.11 has neither `os.unshare` nor `mount`, so this calls libc by ctypes. Linux only.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

from .seccomp import forbid

NEW_USER, NEW_NS, NEW_PID = 0x10000000, 0x00020000, 0x20000000
NEW_NET, NEW_IPC, NEW_UTS = 0x40000000, 0x08000000, 0x04000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
MAX_USER_SPACES = "sys/user/max_user_namespaces"
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
HOME = "/tmp"
HELD = ("/opt/held/prefix", "/opt/held/base")  # where Python is mounted while HOME is covered
WHOLE_PROC = "/opt/proc"  # the host's /proc, for the fork server only

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Limits:
    """What one notebook's processes may use."""

    memory: int = 2 << 30  # bytes of address space of one process, beyond the fork server's
    resident: int = 3 << 30  # bytes that all processes, and the kernel for them, hold together
    cpu_seconds: int = 300  # more than the grader gives a notebook: it stops slow ones itself
    processes: int = 64
    file_bytes: int = 32 << 20  # of one file
    home_bytes: int = 64 << 20  # of all files together, which are kept in memory
    open_files: int = 256


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    done = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode())
    _check(done, f"mount {target}")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, for whatever reason."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def hide(hidden: bool = True) -> None:
    """Close this process's memory to other processes of its user, or open it again."""
    _check(_libc.prctl(PR_SET_DUMPABLE, int(not hidden), 0, 0, 0), "prctl")


def leave(uid: int) -> None:
    """Enter new namespaces, as user `uid` if this is root; the next fork is process 1."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        hide(False)  # otherwise /proc/self belongs to root
    me, group = os.geteuid(), os.getegid()
    every = NEW_USER | NEW_NS | NEW_PID | NEW_NET | NEW_IPC | NEW_UTS
    _check(_libc.unshare(every), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{me} {me} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    die_with_parent()


def furnish(limits: Limits, jupyter: bool = False) -> None:
    """Mount private /tmp, /dev/shm and /proc, then set limits and give up all rights for good.

    `jupyter` allows what a kernel of Jupyter needs.
    """
    used = _address_space()
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    _mount_home(f"size={limits.home_bytes},nr_inodes=4096,mode=0700")
    _mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=8m,nr_inodes=256")
    with contextlib.suppress(OSError), open(f"{WHOLE_PROC}/{MAX_USER_SPACES}", "w") as file:
        file.write("0")  # no user namespaces below this one: they would grant rights
    try:
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    except OSError:  # some containers forbid it, so /proc is empty
        _mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k")
    _mount("tmpfs", WHOLE_PROC, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k")
    os.chdir(HOME)
    _limit(limits, used)
    _drop_rights(jupyter)


def _mount_home(size: str) -> None:
    """Mount an empty home; Python stays in place if it is installed below that path."""
    below = [p for p in sorted({sys.prefix, sys.base_prefix}) if p.startswith(f"{HOME}/")]
    for held, path in zip(HELD, below, strict=False):
        _mount(path, held, "", MS_BIND | MS_REC)
    _mount("tmpfs", HOME, "tmpfs", MS_NOSUID | MS_NODEV, size)
    for held, path in zip(HELD, below, strict=False):
        os.makedirs(path)
        _mount(held, path, "", MS_BIND | MS_REC)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _limit(limits: Limits, used: int) -> None:
    for name, value in (
        (resource.RLIMIT_AS, used + limits.memory),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, 256),  # also limits timers, whose memory nothing counts
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
    ):
        resource.setrlimit(name, (value, value))


def _drop_rights(jupyter: bool) -> None:
    """Give up all capabilities, also after an exec, so that no limit can be lifted again."""
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    for number in range(64):
        with contextlib.suppress(OSError):  # beyond the last one that this kernel has
            _check(_libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    _check(forbid(_libc, jupyter), "seccomp")
