"""The `mnistdiff` command."""

from mnistdiff.cli.parser import main

__all__ = ["main"]
