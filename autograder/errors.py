"""What a user can do something about, in words."""


class AutograderError(Exception):
    """A sentence for the person at the command line: value, expectation, remedy."""
