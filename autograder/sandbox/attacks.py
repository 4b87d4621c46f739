"""The attacks that `autograder doctor` runs inside a real sandbox, as a hostile student would.

The text of this file runs as a cell, so it imports nothing of the grader. Each attack returns
whether the sandbox held, and what was measured; an attack that must be killed returns nothing.
"""

import contextlib
import ctypes
import errno
import fcntl
import functools
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
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


def in_thread(action: Callable[[], object]) -> None:
    """Run an action in a thread, and raise the OSError that ends it."""
    raised: list[OSError] = []

    def act() -> None:
        try:
            action()
        except OSError as error:
            raised.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    for error in raised:
        raise error


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


def threads(most: int) -> tuple[bool, str]:
    """A thread counts as a process."""
    for count in range(2 * most + 1):
        try:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError:
            return count <= most, f"{count}, then no more"
    return False, f"{count} and no end"


def hold(size: int) -> None:
    """Hold memory in a child process."""
    if not os.fork():
        kept = b"x" * size  # noqa: F841
        time.sleep(60)
        os._exit(0)


def memory_together() -> None:
    for _ in range(6):
        hold(192 * MEGABYTE)
    time.sleep(60)


def memory_of_threads() -> None:
    """Hold memory in the children of a thread that lives, and of threads that have ended."""
    for _ in range(3):
        in_thread(lambda: hold(192 * MEGABYTE))
    forks = lambda: (hold(192 * MEGABYTE), time.sleep(60))  # noqa: E731
    for _ in range(3):
        threading.Thread(target=forks, daemon=True).start()
    time.sleep(60)


def memory_of_a_grandchild() -> None:
    """Hold memory below a thread of a child whose first thread has ended."""
    if not os.fork():
        threading.Thread(target=lambda: (hold(768 * MEGABYTE), time.sleep(60))).start()
        libc.pthread_exit(None)
    time.sleep(60)


def memory_in_sockets(family: int = socket.AF_UNIX) -> None:
    kept = []
    while True:
        with contextlib.suppress(OSError):
            kept.append(socket.socket(family))
        time.sleep(0.001)


def called(name: str, *arguments: object) -> None:
    """Call a function of libc. Raises OSError if it fails."""
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def system_call(on_intel: int, on_arm: int, *arguments: object) -> None:
    called("syscall", on_intel if os.uname().machine == "x86_64" else on_arm, *arguments)


def memory_uncounted() -> tuple[bool, str]:
    """Try, from the first thread and from another one, what takes memory that no limit counts."""

    def from_zero() -> None:
        with open("/dev/zero", "r+b") as file:
            mmap.mmap(file.fileno(), MEGABYTE)

    def option(number: int, value: int | bytes) -> None:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, number, value)

    def lock(command: int) -> None:
        with open("/tmp/locked", "w") as file:
            fcntl.fcntl(file, command, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))

    def larger_pipe() -> None:
        for end in (ends := os.pipe()):
            os.set_blocking(end, False)
        try:
            fcntl.fcntl(ends[0], 1031, 2 * MEGABYTE // 4)
        finally:
            list(map(os.close, ends))

    def huge_page() -> None:
        mmap.mmap(-1, 2 * MEGABYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)

    def shared_page() -> None:
        into = os.pipe()[1]
        page = ctypes.create_string_buffer(4096)
        part = struct.pack("QQ", ctypes.addressof(page), 4096)
        called("vmsplice", into, part, 1, 0)

    def many_timers() -> None:
        for _ in range(2000):
            called("timer_create", 1, None, ctypes.byref(ctypes.c_void_p()))

    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
    tried = {
        "shmget": lambda: called("shmget", 0, MEGABYTE, 0o1600),
        "semget": lambda: called("semget", 0, 1000, 0o1600),
        "msgget": lambda: called("msgget", 0, 0o1600),
        "mq_open": lambda: called("mq_open", b"/doctor", 0o102, 0o600, None),
        "inotify": lambda: called("inotify_init1", 0),
        "fanotify": lambda: called("fanotify_init", 0x200, 0),
        "epoll": lambda: select.epoll().close(),
        "landlock": lambda: system_call(444, 444, struct.pack("QQ", 1, 1), 16, 0),
        "filters": lambda: called("prctl", 22, 2, program, 0, 0),
        "filters by seccomp": lambda: system_call(317, 277, 1, 0, program),
        "filters of sockets": lambda: option(26, program),
        "larger sockets": lambda: option(socket.SO_SNDBUF, 64 * MEGABYTE),
        "larger pipes": larger_pipe,
        "locks": lambda: lock(fcntl.F_SETLK),
        "locks of an open file": lambda: lock(37),
        "memfd": lambda: os.memfd_create("x"),
        "mmap": lambda: mmap.mmap(-1, MEGABYTE),
        "huge pages": huge_page,
        "pages in pipes": shared_page,
        "/dev/zero": from_zero,
        "timers": many_timers,
        "mbind": lambda: system_call(237, 235, 0, 0, 0, None, 0, 0),
        "keys": lambda: system_call(248, 217, b"user", b"doctor", b"x", 1, -3),
        "io_uring": lambda: system_call(425, 425, 8, ctypes.create_string_buffer(120)),
        "userfaultfd": lambda: system_call(323, 282, 1),
        "bpf": lambda: system_call(321, 280, 0, ctypes.create_string_buffer(72), 72),
    }
    given = [name for name, action in tried.items() if not refusal(action)]
    given += [f"{n} (thread)" for n, a in tried.items() if not refusal(lambda a=a: in_thread(a))]
    if given:
        return False, "given: " + ", ".join(given)
    return True, f"{len(tried)} ways, each from two threads: refused"


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
    new_user, new_mounts, child_ended = 0x10000000, 0x00020000, 17

    def call(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), "")

    def cloned(on_intel: int, on_arm: int, *arguments: object) -> None:
        number = on_intel if os.uname().machine == "x86_64" else on_arm
        if not (pid := libc.syscall(number, *arguments)):
            os._exit(0)
        call(min(pid, 0))

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
        "clone of users": lambda: cloned(56, 220, new_user | child_ended, 0, 0, 0, 0),
        "clone3": lambda: cloned(435, 435, struct.pack("8Q", new_user, *[0] * 7), 64),
        "the kernel's log": lambda: call(min(libc.klogctl(10, None, 0), 0)),
        "nice": lambda: os.nice(-5),
        "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    }
    errors = {name: refusal(action) for name, action in tried.items()}
    gained = [name for name, error in errors.items() if not error]
    return not gained, "gained: " + ", ".join(gained) if gained else f"{len(tried)} ways: refused"
