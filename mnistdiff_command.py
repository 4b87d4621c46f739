"""Start the `mnistdiff` command, so that Ctrl-C ends in a sentence while torch is imported, too."""

import os
import signal
import sys


def main() -> int:
    """Import the command, which takes seconds, run it, and return its exit code."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # not where the caller ignores Ctrl-C, as nohup does
        signal.signal(signal.SIGINT, _stop)
    from mnistdiff.cli import main as run

    signal.signal(signal.SIGINT, handler)
    return run()


def _stop(*_: object) -> None:
    """End at once: an exception would pass through imports that may catch it."""
    os.write(sys.stderr.fileno(), b"\nmnistdiff: interrupted before it began; nothing was done\n")
    os._exit(130)
