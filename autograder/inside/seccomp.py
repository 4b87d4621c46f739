"""Refuse some system calls to student processes.

Each of these takes memory that no limit counts, reaches the grader's keys, or opens a part of the
kernel that notebooks do not need and that attacks have used.
"""

import ctypes
import platform
import struct

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, JUMP_FROM, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000  # REFUSE: errno EPERM
NUMBER, MACHINE, FAMILY, OPTION, MMAP_FLAGS = (
    0,
    4,
    16,
    32,
    40,
)  # offsets in the filter's input
SHARED_ANONYMOUS = 0x21  # shared memory that remains when no process maps it
FOREIGN_ABI = 0x40000000  # x86: system calls with 32-bit pointers

# name: number on x86_64, on aarch64
CALLS = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
}
MMAP = (9, 222)
SOCKET, FAMILIES = (41, 198), (1, 2, 10, 16)  # AF_UNIX, INET, INET6, NETLINK (ZeroMQ asks)
SETSOCKOPT, SIZES = (54, 208), (7, 8, 32, 33)  # SO_SNDBUF and similar: the capacity of a socket
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def _filter(column: int, audit: int) -> bytes:
    """Return the filter program that the kernel runs at each system call."""
    numbers = [numbers[column] for numbers in CALLS.values()]
    families, sizes = len(FAMILIES), len(SIZES)
    rest = families + sizes + 11  # lines between the list of calls and the line that refuses
    line = struct.Struct("=HBBI").pack  # code, lines to skip if true, if false, value
    program = [
        line(LOAD, 0, 0, MACHINE),
        line(JUMP_EQUAL, 1, 0, audit),
        line(RETURN, 0, 0, KILL),
        line(LOAD, 0, 0, NUMBER),
        line(JUMP_FROM, len(numbers) + rest, 0, FOREIGN_ABI),
    ]
    for at, number in enumerate(numbers):
        program.append(line(JUMP_EQUAL, len(numbers) - at - 1 + rest, 0, number))
    program += [
        line(JUMP_EQUAL, 0, families + 2, SOCKET[column]),
        line(LOAD, 0, 0, FAMILY),
        *(line(JUMP_EQUAL, families + sizes - n + 7, 0, f) for n, f in enumerate(FAMILIES)),
        line(RETURN, 0, 0, REFUSE),
        line(JUMP_EQUAL, 0, sizes + 2, SETSOCKOPT[column]),
        line(LOAD, 0, 0, OPTION),
        *(line(JUMP_EQUAL, sizes - n + 5, 0, option) for n, option in enumerate(SIZES)),
        line(RETURN, 0, 0, ALLOW),
        line(JUMP_EQUAL, 0, 3, MMAP[column]),
        line(LOAD, 0, 0, MMAP_FLAGS),
        line(AND, 0, 0, SHARED_ANONYMOUS),
        line(JUMP_EQUAL, 1, 0, SHARED_ANONYMOUS),
        line(RETURN, 0, 0, ALLOW),
        line(RETURN, 0, 0, REFUSE),
    ]
    return b"".join(program)


def forbid(libc: ctypes.CDLL) -> int:
    """Refuse these calls to this process and its children; return 0 if that succeeded."""
    if platform.machine() not in MACHINES:
        return 0  # the doctor reports it
    program = _filter(*MACHINES[platform.machine()])
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HxxxxxxQ", len(program) // 8, ctypes.addressof(text))
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)
