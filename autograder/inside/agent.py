"""The student's side of one notebook: runs its cells, answers what the judge asks.

Lives in a process of its own inside the sandbox; whatever it says is a value to be judged, never
a mark. The student's code can reach everything here.
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
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from . import wire
from .guards import deadline
from .student import InKernel, Interrupted, WrongAnswer

MAX_TEXT = 100_000  # characters that a cell may print; the rest is dropped
MAX_PICTURE = 1_000_000  # of one output's base64
MAX_OUTPUTS = 50  # of a cell
MAX_SHOWN = 3 << 20  # characters of all of them together: one message holds them
SHOWN = ("text/plain", "text/markdown", "image/png")  # no HTML, no JavaScript


class Printed(io.TextIOBase):
    """A stream that keeps the first MAX_TEXT characters; as a notebook's own, it names a file."""

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


def _shown(data: dict) -> dict[str, str]:
    """The kinds of output that are kept, cut to size."""
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
    """The first outputs, as many as fit into one message."""
    sizes = accumulate(len(json.dumps(output)) for output in outputs)
    return [output for output, size in zip(outputs, sizes, strict=True) if size <= MAX_SHOWN]


class Publisher(DisplayPublisher):
    """Collects what a cell displays."""

    def publish(self, data: dict, metadata: dict | None = None, **_: Any) -> None:
        if len(self.shell.outputs) < MAX_OUTPUTS and (kept := _shown(data)):
            self.shell.outputs.append({"output_type": "display_data", "data": kept})

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear()


class Hook(DisplayHook):
    """Collects the value of a cell's last line."""

    def __call__(self, result: object = None) -> None:
        if result is None or self.quiet():
            return
        data, _ = self.compute_format_data(result)
        self.update_user_ns(result)
        self.shell.outputs.append({"output_type": "execute_result", "data": _shown(data)})


class Shell(InteractiveShell):
    """IPython without a terminal, a history file, or a wire protocol."""

    outputs: list

    def __init__(self, **settings: Any) -> None:
        self.outputs = []
        super().__init__(display_pub_class=Publisher, displayhook_class=Hook, **settings)

    def enable_gui(self, gui: object = None) -> None:
        """There is no window to draw in."""

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        text = "\n".join(stb)[-MAX_TEXT:]
        named = {"ename": etype.__name__[:200], "evalue": str(evalue)[:1000]}
        self.outputs.append({"output_type": "error", **named, "traceback": [text]})


class Agent:
    """Answers one request at a time."""

    def __init__(self, shell: Shell, channel: socket.socket) -> None:
        self.shell = shell
        self.channel = channel
        self.student = InKernel(shell.user_ns)
        self.blocks: list[contextlib.ExitStack] = []
        # As in a notebook: its own names are those of __main__, and files beside it are imported.
        sys.modules["__main__"] = shell.user_module
        sys.path.append(os.getcwd())

    def serve(self) -> None:
        """Until the judge hangs up."""
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
        except Exception as error:  # torch has tensors of kinds that cannot be sent
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
        """Run a cell as Jupyter would; what it showed, and whether it raised."""
        self.shell.outputs.clear()
        out, err, start = Printed(1), Printed(2), time.perf_counter()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                with deadline(limit):
                    done = self.shell.run_cell(source, store_history=False)
                error = done.error_before_exec or done.error_in_exec
            except BaseException as raised:
                error = raised
        printed = [("stdout", out), ("stderr", err)]
        texts = [{"output_type": "stream", "name": n, "text": "".join(s.parts)} for n, s in printed]
        return {
            "outputs": _fitting([t for t in texts if t["text"]] + self.shell.outputs),
            "error": "" if error is None else f"{type(error).__name__}: {error}"[:300],
            "interrupted": isinstance(error, KeyboardInterrupt),
            "seconds": time.perf_counter() - start,
        }

    def do_call(self, target: Any, args: list) -> object:
        return self.student.call(target, *args)

    def do_call_and_look(self, target: Any, args: list) -> object:
        return self.student.call_and_look(target, *args)

    def do_new(self, cls: str, config: Any, weights: Any, training: bool) -> object:
        return self.student.new(cls, config, weights, training=training)

    def do_grad(self, target: Any, args: list, wrt: list) -> object:
        return self.student.grad(target, args, wrt)

    def do_enter(self, block: str, given: Any) -> None:
        """Enter a block (`guard` or `standing_in`) that lasts until `leave`."""
        stack = contextlib.ExitStack()
        stack.enter_context(getattr(self.student, block)(given))
        self.blocks.append(stack)

    def do_leave(self) -> None:
        self.blocks.pop().close()


def prepare() -> Shell:
    """A shell with everything imported and read that the notebooks use: once, before any fork."""
    import matplotlib

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

    # A history file would be one that all sandboxes can write to.
    shell = Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("%matplotlib inline", store_history=False)
    return shell
