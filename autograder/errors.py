"""What a user can do something about, in words."""

STOPPED = 130  # the exit status of what Ctrl-C has ended


class AutograderError(Exception):
    """A sentence for the person at the command line: value, expectation, remedy."""
