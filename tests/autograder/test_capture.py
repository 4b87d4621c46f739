"""Does nothing that student code writes, from any layer, come out of a check?"""

import ctypes
import logging
import os
import sys
import warnings

import pytest

from autograder import check
from autograder.inside.guards import capture


def noise() -> None:
    """Write on every channel there is."""
    os.write(1, b"fd\n")
    os.write(2, b"fd\n")
    print("stdout")
    print("stderr", file=sys.stderr)
    print("original", file=sys.__stderr__)
    print("original", file=sys.__stdout__)
    warnings.warn("warning", stacklevel=1)
    logging.getLogger("student").warning("log")
    ctypes.CDLL(None).perror(b"C")
    sys.displayhook("x")


def kl(mu, logvar):
    noise()
    return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()


def test_a_noisy_right_answer_keeps_its_marks_and_leaves_no_output(capfd) -> None:
    assert check("kl_divergence", {"kl_divergence": kl}) == 4.0
    assert capfd.readouterr() == ("", "")


def test_hints_come_on_stdout_after_the_noise_is_over(capfd) -> None:
    check("kl_divergence", {"kl_divergence": lambda mu, logvar: noise()})
    out, err = capfd.readouterr()
    assert "expected the result to be one number" in out
    assert err == ""


def test_streams_come_back_also_after_an_exception(capfd) -> None:
    streams, hook = (sys.stdout, sys.stderr), sys.displayhook
    with pytest.raises(ZeroDivisionError), capture():
        raise ZeroDivisionError
    assert (sys.stdout, sys.stderr) == streams
    assert sys.displayhook is hook
    os.write(1, b"one")
    os.write(2, b"two")
    assert capfd.readouterr() == ("one", "two")


def test_a_handler_that_holds_the_notebooks_stream_is_muted(monkeypatch, capfd) -> None:
    class Stream:
        """Like ipykernel's: what is written leaves past the file descriptors."""

        def __init__(self) -> None:
            self.text = ""

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = logging.StreamHandler(stream)
    with capture():
        handler.emit(logging.makeLogRecord({"msg": "inside"}))
    handler.emit(logging.makeLogRecord({"msg": "after"}))
    assert stream.text == "after\n"


def test_a_closed_descriptor_is_no_obstacle() -> None:
    copy = os.dup(2)
    os.close(2)
    try:
        assert check("kl_divergence", {}) == 0.0
    finally:
        os.dup2(copy, 2)
        os.close(copy)


def test_closing_the_output_inside_does_not_matter(capfd) -> None:
    def closing(mu, logvar):
        sys.stdout.close()
        os.close(2)
        return (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).sum(1).mean()

    assert check("kl_divergence", {"kl_divergence": closing}) <= 4.0
    print("still here")
    assert capfd.readouterr().out.endswith("still here\n")
