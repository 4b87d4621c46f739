"""The attacks that `autograder doctor` runs inside a real sandbox, as a hostile student would.

The text of this file runs as a cell, so it imports nothing of the grader. Each attack returns
whether the sandbox held, and what was measured; an attack that must be killed returns nothing.
"""

import contextlib
import ctypes
import errno
import functools
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

MEGABYTE = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)


def refusal(action: Callable[[], object]) -> str:
    """Return the name of the error that the kernel raises; "" if the action succeeds."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return ""


def network_of_this_machine(port: int) -> tuple[bool, str]:
    error = refusal(lambda: socket.create_connection(("127.0.0.1", port), 3))
    return bool(error), error or "connected to a port of this machine"


def network_beyond() -> tuple[bool, str]:
    name = refusal(lambda: socket.getaddrinfo("example.org", 80))
    far = refusal(lambda: socket.create_connection(("1.1.1.1", 53), 3))
    return bool(name and far), f"{name or 'a name was found'}, {far or 'connected to 1.1.1.1'}"


def raw_sockets() -> tuple[bool, str]:
    """Also try sockets that bypass the network, e.g. to the host of a virtual machine."""
    for family in (socket.AF_VSOCK, socket.AF_ALG):
        if not refusal(lambda family=family: socket.socket(family, socket.SOCK_DGRAM).close()):
            return False, f"{family.name} opened"
    ping = refusal(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    packet = refusal(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    return bool(ping and packet), f"{ping or 'IP opened'}, {packet or 'Ethernet opened'}"


def reading(paths: list[str], allowed: list[str]) -> tuple[bool, str]:
    seen = []
    for path in paths:
        with contextlib.suppress(OSError):
            inner = [f"{path}/{name}" for name in os.listdir(path)] if os.path.isdir(path) else []
            if not inner:
                open(path).close()
            bad = [
                p for p in inner or [path] if not any(f"{a}/".startswith(f"{p}/") for a in allowed)
            ]
            seen += bad
    return not seen, " ".join(seen)[:200] or f"{len(paths)} places tried, none there"


def writing() -> tuple[bool, str]:
    found = []
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/swappiness"):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            found.append(path)
    skipped = {"/proc", "/tmp", "/usr", "/dev/shm"}
    for folder, folders, files in os.walk("/"):
        folders[:] = [n for n in folders if n != "lib" and os.path.join(folder, n) not in skipped]
        with contextlib.suppress(OSError):
            open(os.path.join(folder, "doctor"), "w").close()
            found.append(folder)
        for path in (os.path.join(folder, name) for name in files):
            if os.path.isfile(path) and os.access(path, os.W_OK):
                found.append(path)
    open("/tmp/doctor", "w").close()
    return not found, " ".join(found)[:200] or "only in /tmp and /dev/shm"


def environment() -> tuple[bool, str]:
    """Return the variables of all visible processes; the doctor searches them for its own."""
    texts = [f"{name}={value}" for name, value in os.environ.items()]
    for process in os.listdir("/proc"):
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/{name}") as file:
                texts.append(file.read())
    return True, "\n".join(texts)


def until_refused(step: Callable[[int], object], most: int, what: str = "") -> tuple[bool, str]:
    """Take steps 0, 1, ... until the kernel refuses one; the sandbox holds up to `most`."""
    for count in range(2 * most + 1):
        if error := refusal(lambda count=count: step(count)):
            return count <= most, f"{count}{what}, then {error}"
    return False, f"{count}{what} and no end"


def processes(most: int) -> tuple[bool, str]:
    def child(count: int) -> None:
        if not os.fork():
            time.sleep(60)
            os._exit(0)

    return until_refused(child, most)


def memory_of_one(size: int) -> tuple[bool, str]:
    try:
        return False, f"{len(bytearray(size)) // MEGABYTE} MB were given"
    except MemoryError:
        return True, f"MemoryError for {size // MEGABYTE} MB, and the notebook went on"


def memory_together() -> None:
    for _ in range(6):
        if not os.fork():
            kept = b"x" * (192 * MEGABYTE)  # noqa: F841
            time.sleep(60)
    time.sleep(60)


def memory_in_sockets() -> None:
    kept = []
    while True:
        with contextlib.suppress(OSError):
            kept.append(socket.socketpair())
        time.sleep(0.001)


def memory_uncounted() -> tuple[bool, str]:
    def segment() -> None:
        if libc.shmget(0, MEGABYTE, 0o1600) < 0:
            raise OSError(ctypes.get_errno(), "shmget")

    def from_zero() -> None:
        with open("/dev/zero", "r+b") as file:
            mmap.mmap(file.fileno(), MEGABYTE)

    def larger_socket() -> None:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * MEGABYTE)

    tried = {
        "a larger socket": larger_socket,
        "memfd": lambda: os.memfd_create("x"),
        "shmget": segment,
        "mmap": lambda: mmap.mmap(-1, MEGABYTE),
        "/dev/zero": from_zero,
    }
    given = [name for name, action in tried.items() if not refusal(action)]
    return not given, "given: " + ", ".join(
        given
    ) if given else "memfd, shmget, mmap, larger sockets: refused"


def endless() -> None:
    while True:
        pass


def stubborn() -> None:
    while True:
        with contextlib.suppress(BaseException):
            endless()


def asleep() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        time.sleep(1000)


def file_size(most: int) -> tuple[bool, str]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("/tmp/large", "wb", buffering=0) as file:
        grow = lambda count: file.write(b"0" * MEGABYTE)  # noqa: E731
        return until_refused(grow, most // MEGABYTE, " MB")


def disk(most: dict[str, int]) -> tuple[bool, str]:
    def grow(folder: str, count: int) -> None:
        with open(f"{folder}/{count}", "wb", buffering=0) as file:
            file.write(b"0" * MEGABYTE)

    found = []
    for folder, size in most.items():
        step = functools.partial(grow, folder)
        found.append(until_refused(step, size // MEGABYTE, " MB"))
    return all(held for held, _ in found), "; ".join(measured for _, measured in found)


def many_files(most: int) -> tuple[bool, str]:
    return until_refused(lambda count: os.mkdir(f"/tmp/{count}"), most)


def flood() -> None:
    from IPython.display import display

    line = "x" * MEGABYTE
    for _ in range(100):
        print(line)
        print(line, file=sys.stderr)
        os.write(1, line.encode())
        display({"text/plain": line}, raw=True)


def orphan(title: str) -> None:
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in range(1, 65):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)
        libc.prctl(15, title.encode(), 0, 0, 0)
        time.sleep(600)
    os.wait()


def signals(pids: list[int]) -> tuple[bool, str]:
    """Send SIGKILL; the doctor checks whether the processes are still alive."""
    errors = [refusal(lambda pid=pid: os.kill(pid, signal.SIGKILL)) for pid in (*pids, -1)]
    return all(errors[:-1]), " ".join(sorted({error or "sent" for error in errors}))


def first_process() -> tuple[bool, str]:
    """Code that can write to process 1 could outlive its sandbox."""
    error = refusal(lambda: os.close(os.open("/proc/1/mem", os.O_RDWR)))
    return bool(error), error or "the memory of process 1 is open"


def other_processes() -> tuple[bool, str]:
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    return len(seen) <= 2, f"{len(seen)} processes are seen"


def rights() -> tuple[bool, str]:
    new_user, new_mounts = 0x10000000, 0x00020000

    def call(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), "")

    def child() -> None:
        call(libc.unshare(new_user | new_mounts))
        call(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))

    tried = {
        "setuid": lambda: os.setuid(0),
        "setgroups": lambda: os.setgroups([0]),
        "chroot": lambda: os.chroot("/tmp"),
        "mount": lambda: call(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
        "unshare of mounts": lambda: call(libc.unshare(new_mounts)),
        "unshare of users": child,
        "nice": lambda: os.nice(-5),
    }
    errors = {name: refusal(action) for name, action in tried.items()}
    gained = [name for name, error in errors.items() if not error]
    return not gained, "gained: " + ", ".join(gained) if gained else f"{len(tried)} ways: refused"
