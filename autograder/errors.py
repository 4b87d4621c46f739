"""Errors that the user of the command line can do something about."""

STOPPED = 130  # the exit status after Ctrl-C


class AutograderError(Exception):
    """A message for the user: the value, what was expected, and the remedy."""
