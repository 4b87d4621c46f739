"""The fork server: imports torch and the library once, and forks a process per notebook.

The grader starts it inside bubblewrap, with the number of the descriptor for its orders. It never
runs student code; each child enters its own namespaces before it does.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import tempfile
from typing import Any


def main() -> None:
    """Carry out orders until the grader hangs up: {"spawn": uid} and a socket, or {"kill": pid}."""
    import torch

    torch.set_num_threads(1)
    from .agent import prepare

    shell = prepare()
    gc.collect()
    gc.freeze()  # otherwise a child's first collection copies every page that it visits
    orders = socket.socket(fileno=int(sys.argv[1]))
    orders.sendall(b'{"ready": true}\n')
    while True:
        message, handles, _, _ = socket.recv_fds(orders, 4096, 1)
        if not message:
            return
        order = json.loads(message)
        if "spawn" in order:
            channel = socket.socket(fileno=handles[0])
            answer = {"pid": _spawn(shell, orders, channel, order)}
            channel.close()
        else:
            answer = {"status": _kill(order["kill"])}
        orders.sendall(json.dumps(answer).encode() + b"\n")


def _kill(pid: int) -> int:
    """End a child and everything that it started; return its exit status."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, 0)[1]
    return 0


def _spawn(shell: Any, orders: socket.socket, channel: socket.socket, order: dict) -> int:
    """Fork three times: into new namespaces, as their process 1, and as the notebook."""
    from .namespaces import Limits, die_with_parent, furnish, hide, leave

    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        die_with_parent()
        orders.close()
        os.setsid()
        forget_files(channel.fileno())
        if order["unsafe"]:
            os.chdir(tempfile.mkdtemp(dir=os.getcwd()))
            _serve(shell, channel)
            return 0
        leave(order["spawn"])
        first = os.fork()
        if first:
            channel.close()
            follow(first)
        die_with_parent()
        furnish(Limits(**order["limits"]))
        hide()  # otherwise student code could take over this process, and outlive its sandbox
        notebook = os.fork()
        if notebook:
            channel.close()
            follow(notebook)
        hide(False)
        _serve(shell, channel)
        status = 0
    except BaseException as error:
        with contextlib.suppress(Exception):
            from . import wire

            wire.send(channel, {"failed": f"{type(error).__name__}: {error}"[:500]})
    finally:
        os._exit(status)


def forget_files(but: int = 2) -> None:
    """Close the fork server's files, so that no student process shares them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(3, but)
    os.closerange(max(but, 2) + 1, 1 << 16)


def follow(child: int) -> None:
    """Wait for the child, reap all other processes, and exit with the child's status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 255)


def _serve(shell: Any, channel: socket.socket) -> None:
    from . import wire
    from .agent import Agent

    sys.stdin = open(os.devnull)  # noqa: SIM115
    wire.send(channel, {"ready": True})
    Agent(shell, channel).serve()


if __name__ == "__main__":
    main()
