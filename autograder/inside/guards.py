"""What surrounds student code while it is checked in the same process.

These guards keep honest work from losing marks by accident (a warning on stderr, a leftover
`no_grad`) and keep the library's own answer out of reach. They are no defence against a student
who means to cheat: in one process nothing is, which is why a judge in another one must follow.
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

import torch

MESSAGE = "MESSAGE"


def _closed(*args: object, **kwargs: object) -> None:
    raise RuntimeError("MESSAGE")


def locate(path: str) -> FunctionType:
    """The plain function behind `package.module:Class.name`, below any decorator."""
    module, _, names = path.partition(":")
    found = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return inspect.unwrap(found)


def closed_code(path: str, free: tuple[str, ...] = ()) -> CodeType:
    """Code that takes any arguments and raises one sentence naming the sealed function.

    `free` are the variables that the sealed code has from outside it (as `super()` needs).
    """
    sentence = f"{path.replace(':', '.')} is sealed while this cell is checked: write it yourself"
    code = _closed.__code__
    constants = (sentence if value == MESSAGE else value for value in code.co_consts)
    return code.replace(co_consts=tuple(constants), co_freevars=free)


@contextlib.contextmanager
def seal(paths: Iterable[str]) -> Iterator[None]:
    """Make the named library functions raise a sentence, and only inside this block.

    The code is swapped inside the function object, so that every alias of it is caught too.
    """
    opened: list[tuple[FunctionType, CodeType]] = []
    try:
        for path in paths:
            # A student may have deleted the function: then there is nothing to seal.
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
        with contextlib.suppress(OSError):  # closed already: nothing can be written there
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
    """Empty Python's buffers, so that text ends up where it was meant to go."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


@contextlib.contextmanager
def _muted(stream: object) -> Iterator[None]:
    """Mute the stream object itself: a logging handler made earlier may still hold it."""
    try:
        before = vars(stream).get("write")
        stream.write = len
    except (AttributeError, TypeError):  # a file of C code: its descriptor is redirected
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
    """Swallow all output of the block: stock nbgrader gives a cell that wrote to stderr zero."""
    _flush()
    displayhook = sys.displayhook  # what it shows first would be taken for the points
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
    """Run the block with torch's defaults, then put the notebook's own state back.

    Whatever is drawn inside is the same each time: no mark hangs on a student's lucky dice.
    """
    numpy = sys.modules.get("numpy")
    before = random.getstate(), torch.get_rng_state(), numpy and numpy.random.get_state()
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        random.setstate(random.Random(0).getstate())  # no `seed`: students write `seed = 0`
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
    """Interrupt the block when it takes longer, as Ctrl-C would; a timer set before runs on.

    Only the main thread of a POSIX system can be interrupted so; elsewhere nothing happens.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    start = time.monotonic()
    # Again and again: student code may swallow the first one.
    earlier, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if earlier:
            left = max(earlier - (time.monotonic() - start), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
