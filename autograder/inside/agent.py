"""The student's side of one notebook: runs its cells and answers the grader's requests.

It runs in its own process inside the sandbox. The student's code can change everything here, so
its answers are values to be checked, never marks.
"""

import contextlib
import importlib
import io
import json
import os
import pkgutil
import socket
import sys
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from . import wire
from .guards import deadline
from .student import InKernel, Interrupted, WrongAnswer, described

MAX_TEXT = 100_000  # characters of printed text that are kept of a cell
MAX_PICTURE = 1_000_000  # characters of one output's base64
MAX_OUTPUTS = 50  # of a cell
MAX_SHOWN = 3 << 20  # characters of all outputs of a cell, so that one message holds them
SHOWN = ("text/plain", "text/markdown", "image/png")  # no HTML, no JavaScript


class Printed(io.TextIOBase):
    """A stream that keeps the first MAX_TEXT characters, and has a file number as in Jupyter."""

    encoding = "UTF-8"

    def __init__(self, number: int) -> None:
        self.parts, self.room, self.number = [], MAX_TEXT, number

    def fileno(self) -> int:
        return self.number

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.room > 0:
            self.parts.append(text[: self.room])
            self.room -= len(text)
        return len(text)


def _kept_kinds(data: dict) -> dict[str, str]:
    """Return the kinds of output that are kept, shortened to the limits."""
    kept = {}
    for kind in SHOWN:
        if isinstance(text := data.get(kind), bytes):
            import base64

            text = base64.b64encode(text).decode()
        if isinstance(text, str):
            if kind == "image/png" and len(text) > MAX_PICTURE:
                continue
            kept[kind] = text if kind == "image/png" else text[:MAX_TEXT]
    return kept


def _fitting(outputs: list[dict]) -> list[dict]:
    """Return the first outputs, as many as fit into one message."""
    sizes = accumulate(len(json.dumps(output)) for output in outputs)
    return [output for output, size in zip(outputs, sizes, strict=True) if size <= MAX_SHOWN]


class Publisher(DisplayPublisher):
    """A display publisher that collects what a cell displays."""

    shell: "Shell"

    def publish(self, data: dict, metadata: dict | None = None, **_: Any) -> None:
        if len(self.shell.outputs) < MAX_OUTPUTS and (kept := _kept_kinds(data)):
            self.shell.outputs.append({"output_type": "display_data", "data": kept})

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear()


class Hook(DisplayHook):
    """A display hook that collects the value of a cell's last line."""

    shell: "Shell"

    def __call__(self, result: object = None) -> None:
        if result is None or self.quiet():
            return
        data, _ = self.compute_format_data(result)
        self.update_user_ns(result)
        self.shell.outputs.append({"output_type": "execute_result", "data": _kept_kinds(data)})


class Shell(InteractiveShell):
    """IPython without a terminal, a history file, or a wire protocol."""

    outputs: list

    def __init__(self, **settings: Any) -> None:
        self.outputs = []
        super().__init__(display_pub_class=Publisher, displayhook_class=Hook, **settings)

    def enable_gui(self, gui: object = None) -> None:
        """Do nothing, because there is no window to draw in."""

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        text = "\n".join(stb)[-MAX_TEXT:]
        named = {"ename": etype.__name__[:200], "evalue": str(evalue)[:1000]}
        self.outputs.append({"output_type": "error", **named, "traceback": [text]})


class Agent:
    """The process that answers one request of the grader at a time."""

    def __init__(self, shell: Shell, channel: socket.socket) -> None:
        self.shell = shell
        self.channel = channel
        self.student = InKernel(shell.user_ns)
        self.blocks: list[contextlib.ExitStack] = []
        # As in Jupyter, the notebook is __main__, and it can import files of its folder. The folder
        # comes last, so that none of them takes the place of the library or of a package.
        sys.modules["__main__"] = shell.user_module
        sys.path.append(os.getcwd())

    def serve(self) -> None:
        """Answer requests until the grader closes the channel."""
        while True:
            try:
                request = wire.receive(self.channel)
            except wire.BrokenFrame:
                return
            most = wire.largest(request["op"])
            self._reply(self._answer(request), most)

    def _reply(self, answer: dict[str, Any], most: int) -> None:
        try:
            wire.send(self.channel, answer, most)
        except Exception as error:  # torch has kinds of tensors that cannot be sent
            wire.send(self.channel, {"wrong": f"the result cannot be read: {error}"[:300]})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": getattr(self, f"do_{request.pop('op')}")(**request)}
        except Interrupted as wrong:
            return {"interrupted": str(wrong)}
        except WrongAnswer as wrong:
            return {"wrong": str(wrong)}
        except BaseException as error:  # the student may have broken anything
            return {"wrong": f"the notebook's process is broken: {type(error).__name__}"}

    def do_cell(self, source: str, limit: float) -> dict[str, Any]:
        """Run a cell as Jupyter would; return its outputs, and the error that it raised."""
        self.shell.outputs.clear()
        out, err, start = Printed(1), Printed(2), time.perf_counter()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                with deadline(limit):
                    done = self.shell.run_cell(source, store_history=False)
                error = done.error_before_exec or done.error_in_exec
            except BaseException as raised:
                error = raised
        if error is not None:
            self.student.failures.append((source, described(error)))
        printed = [("stdout", out), ("stderr", err)]
        texts = [{"output_type": "stream", "name": n, "text": "".join(s.parts)} for n, s in printed]
        return {
            "outputs": _fitting([t for t in texts if t["text"]] + self.shell.outputs),
            "error": "" if error is None else f"{type(error).__name__}: {error}"[:300],
            "interrupted": isinstance(error, KeyboardInterrupt),
            "seconds": time.perf_counter() - start,
        }

    def do_files(self, texts: dict[str, str]) -> None:
        """Write the Python files that lay beside the notebook; Latin-1 keeps every byte."""
        for name, text in texts.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("latin-1"))

    def do_call(self, target: Any, args: list) -> object:
        return self.student.call(target, *args)

    def do_call_and_look(self, target: Any, args: list) -> object:
        return self.student.call_and_look(target, *args)

    def do_new(self, cls: str, config: Any, weights: Any, training: bool) -> object:
        return self.student.new(cls, config, weights, training=training)

    def do_grad(self, target: Any, args: list, wrt: list) -> object:
        return self.student.grad(target, args, wrt)

    def do_enter(self, block: str, given: Any) -> None:
        """Enter a block (`guard` or `standing_in`), which lasts until `leave`."""
        stack = contextlib.ExitStack()
        stack.enter_context(getattr(self.student, block)(given))
        self.blocks.append(stack)

    def do_leave(self) -> None:
        self.blocks.pop().close()


def prepare() -> Shell:
    """Return a shell, after importing and reading all that the notebooks use.

    This runs once, before any fork.
    """
    import selectors

    import matplotlib

    selectors.DefaultSelector = selectors.PollSelector  # asyncio's; the sandbox refuses epoll
    matplotlib.use("module://matplotlib_inline.backend_inline")
    import mnistdiff
    from mnistdiff.experiments import get_profile, load_digits

    for module in pkgutil.walk_packages(mnistdiff.__path__, "mnistdiff."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:  # what runs inside ComfyUI needs ComfyUI
            if error.name != "comfy":
                raise
    load_digits(get_profile("smoke"), quiet=True)

    # All sandboxes could write to a history file.
    shell = Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("%matplotlib inline", store_history=False)
    return shell
