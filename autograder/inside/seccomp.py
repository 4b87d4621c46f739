"""Refuse some system calls to student processes.

Each of these takes memory that no limit counts, reaches the grader's keys, or opens a part of the
kernel that notebooks do not need and that attacks have used.
"""

import ctypes
import platform
import struct

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, JUMP_FROM, JUMP_ANY, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000  # REFUSE: errno EPERM
UNKNOWN = 0x00050026  # errno ENOSYS, after which the C library makes threads by `clone`
NUMBER, MACHINE, FIRST, SECOND, THIRD, FOURTH = 0, 4, 16, 24, 32, 40  # offsets in the input
FOREIGN_ABI = 0x40000000  # x86: system calls with 32-bit pointers

# name: number on x86_64, on aarch64
CALLS = {
    # memory that belongs to no process: objects with names, queues, sets of rules
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "inotify_init": (253, 26),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "landlock_create_ruleset": (444, 444),
    "seccomp": (317, 277),
    "vmsplice": (278, 75),  # a page in a pipe keeps the huge page around it
    "mbind": (237, 235),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # other namespaces and file systems
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    # parts of the kernel that attacks have used, and its log
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "syslog": (103, 116),
}
# Its limit is a share of the machine's memory. Jupyter's own kernel needs it.
EPOLL = {"epoll_create": (213, 20), "epoll_create1": (291, 20)}
# Neither the locks of a file nor their memory have a limit. Jupyter's history, in SQLite, locks.
FCNTL, LOCKS = (72, 25), (6, 7, 37, 38)  # F_SETLK, F_SETLKW, and the same of an open file
SET_PIPE_SIZE = 1031
CLONE, NEW_NAMESPACES = (56, 220), 0x7E020000
CLONE3 = (435, 435)  # its flags are in memory, where no filter can read them
PRCTL = (157, 167)
MMAP = (9, 222)
SHARED_ANONYMOUS = 0x21  # shared memory that remains when no process maps it
HUGE = 0x40000  # pages that the machine keeps for others
SOCKET, FAMILIES = (41, 198), (1, 2, 10, 16)  # AF_UNIX, INET, INET6, NETLINK (ZeroMQ asks)
SETSOCKOPT, SOL_SOCKET = (54, 208), 1
OPTIONS = (7, 8, 32, 33, 26, 50, 51, 52)  # SO_SNDBUF and similar: a socket's capacity; filters
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_pack = struct.Struct("=HBBI").pack  # code, lines to skip if true, if false, value
Program = list[bytes]


def _returned(action: int) -> Program:
    return [_pack(RETURN, 0, 0, action)]


def _if(test: int, value: int, then: Program) -> Program:
    """Return lines that run `then` if the loaded value passes the test, and skip it otherwise."""
    return [_pack(test, 0, len(then), value), *then]


def _refused_if_any(offset: int, values: tuple[int, ...]) -> Program:
    """Return lines that refuse the call if an argument equals one of the values."""
    line = [_pack(LOAD, 0, 0, offset)]
    for value in values:
        line += _if(JUMP_EQUAL, value, _returned(REFUSE))
    return line


def _on(call: tuple[int, int], column: int, rules: Program) -> Program:
    """Return lines that decide about one call by its arguments."""
    return _if(JUMP_EQUAL, call[column], [*rules, *_returned(ALLOW)])


def _socket_rules() -> Program:
    line = [_pack(LOAD, 0, 0, FIRST)]
    for family in FAMILIES:
        line += _if(JUMP_EQUAL, family, _returned(ALLOW))
    return line + _returned(REFUSE)


def _option_rules() -> Program:
    options = _refused_if_any(THIRD, OPTIONS)
    return [_pack(LOAD, 0, 0, SECOND), *_if(JUMP_EQUAL, SOL_SOCKET, options)]


def _mmap_rules() -> Program:
    return [
        _pack(LOAD, 0, 0, FOURTH),
        *_if(JUMP_ANY, HUGE, _returned(REFUSE)),
        _pack(AND, 0, 0, SHARED_ANONYMOUS),
        *_if(JUMP_EQUAL, SHARED_ANONYMOUS, _returned(REFUSE)),
    ]


def _clone_rules() -> Program:
    return [_pack(LOAD, 0, 0, FIRST), *_if(JUMP_ANY, NEW_NAMESPACES, _returned(REFUSE))]


def _filter(column: int, audit: int, jupyter: bool) -> bytes:
    """Return the filter program that the kernel runs at each system call."""
    program = [
        _pack(LOAD, 0, 0, MACHINE),
        _pack(JUMP_EQUAL, 1, 0, audit),
        *_returned(KILL),
        _pack(LOAD, 0, 0, NUMBER),
        *_if(JUMP_FROM, FOREIGN_ABI, _returned(REFUSE)),
        *_if(JUMP_EQUAL, CLONE3[column], _returned(UNKNOWN)),
    ]
    for numbers in (CALLS if jupyter else CALLS | EPOLL).values():
        program += _if(JUMP_EQUAL, numbers[column], _returned(REFUSE))
    locks = () if jupyter else LOCKS
    program += _on(FCNTL, column, _refused_if_any(SECOND, (SET_PIPE_SIZE, *locks)))
    program += _on(PRCTL, column, _refused_if_any(FIRST, (PR_SET_SECCOMP,)))
    program += _on(CLONE, column, _clone_rules())
    program += _on(SOCKET, column, _socket_rules())
    program += _on(SETSOCKOPT, column, _option_rules())
    program += _on(MMAP, column, _mmap_rules())
    return b"".join(program + _returned(ALLOW))


def forbid(libc: ctypes.CDLL, jupyter: bool = False) -> int:
    """Refuse these calls to this process and its children; return 0 if that succeeded.

    `jupyter` allows those that a kernel of Jupyter needs.
    """
    if platform.machine() not in MACHINES:
        return 0  # the doctor reports it
    program = _filter(*MACHINES[platform.machine()], jupyter)
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HxxxxxxQ", len(program) // 8, ctypes.addressof(text))
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)
