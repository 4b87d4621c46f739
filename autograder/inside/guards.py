"""Guards around student code while it is checked in the same process.

They keep honest work from losing marks by accident (a warning on stderr, a leftover `no_grad`) and
keep the library's own answer out of reach. They cannot stop a student who wants to cheat: within
one process nothing can, which is why `autograder grade` decides in another process.
"""

import contextlib
import importlib
import inspect
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

import torch

MESSAGE = "MESSAGE"


def _closed(*args: object, **kwargs: object) -> None:
    raise RuntimeError("MESSAGE")


def locate(path: str) -> FunctionType:
    """Return the plain function at `package.module:Class.name`, without its decorators.

    Raises ImportError or AttributeError if it does not exist.
    """
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return inspect.unwrap(found)


def closed_code(path: str, free: tuple[str, ...] = ()) -> CodeType:
    """Return code that takes any arguments and raises an error that names the sealed function.

    `free` are the free variables of the sealed code (`super()` needs one).
    """
    sentence = f"{path.replace(':', '.')} is sealed while this cell is checked: write it yourself"
    code = _closed.__code__
    constants = (sentence if value == MESSAGE else value for value in code.co_consts)
    return code.replace(co_consts=tuple(constants), co_freevars=free)


@contextlib.contextmanager
def seal(paths: Iterable[str]) -> Iterator[None]:
    """Make the named library functions raise an error inside this block.

    The code is swapped inside the function object, so that all its aliases are sealed too.
    """
    opened: list[tuple[FunctionType, CodeType]] = []
    try:
        for path in paths:
            # A student may have deleted the function. A wrong path is caught before student code
            # runs, by `checks.require_library_functions`.
            with contextlib.suppress(ImportError, AttributeError):
                function = locate(path)
                opened.append((function, function.__code__))
                function.__code__ = closed_code(path, function.__code__.co_freevars)
        yield
    finally:
        for function, code in reversed(opened):
            function.__code__ = code


@contextlib.contextmanager
def _files_to(sink: int) -> Iterator[None]:
    """Point file descriptors 1 and 2 at `sink`: C++ code writes there, past sys.stderr."""
    saved = []
    for number in (1, 2):
        with contextlib.suppress(OSError):  # already closed, so nothing can be written there
            saved.append((number, os.dup(number)))
            os.dup2(sink, number)
    try:
        yield
    finally:
        _flush()
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    """Flush Python's buffers before their target changes."""
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    for stream in streams:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


@contextlib.contextmanager
def _muted(stream: Any) -> Iterator[None]:
    """Mute the stream object itself, because an earlier logging handler may still hold it."""
    try:
        before = vars(stream).get("write")
        stream.write = len
    except (AttributeError, TypeError):  # a file written in C; its descriptor is redirected instead
        yield
        return
    try:
        yield
    finally:
        if before is None:
            del stream.write
        else:
            stream.write = before


@contextlib.contextmanager
def capture() -> Iterator[None]:
    """Drop all output of the block: stock nbgrader gives zero to a cell that writes to stderr."""
    _flush()
    displayhook = sys.displayhook  # nbgrader would take a displayed value for the points
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(_muted(sys.stdout))
        stack.enter_context(_muted(sys.stderr))
        stack.enter_context(_files_to(sink.fileno()))
        stack.enter_context(contextlib.redirect_stdout(sink))
        stack.enter_context(contextlib.redirect_stderr(sink))
        try:
            sys.displayhook = lambda value: None
            yield
        finally:
            sys.displayhook = displayhook


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Run the block with torch's defaults, then restore the notebook's own state.

    Random numbers inside are the same each time, so that no mark depends on luck.
    """
    numpy = sys.modules.get("numpy")
    before = random.getstate(), torch.get_rng_state(), numpy and numpy.random.get_state()
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        random.setstate(random.Random(0).getstate())  # not `random.seed`: students overwrite it
        torch.default_generator.manual_seed(0)
        if numpy:
            numpy.random.set_state(numpy.random.RandomState(0).get_state())
        with warnings.catch_warnings(), torch.inference_mode(False):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        random.setstate(before[0])
        torch.set_rng_state(before[1])
        if numpy:
            numpy.random.set_state(before[2])


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after `seconds`, as Ctrl-C would; an earlier timer runs on.

    This works only in the main thread on POSIX systems; elsewhere there is no deadline.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    start = time.monotonic()
    # Repeat every second, because student code may swallow the first interrupt.
    earlier, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if earlier:
            left = max(earlier - (time.monotonic() - start), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
