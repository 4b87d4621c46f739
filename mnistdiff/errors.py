"""The one exception whose text is meant for the user."""


class MnistdiffError(Exception):
    """Bad input, told in words: what was found, what was expected, what to do.

    The `mnistdiff` command prints its text and exits with 2, without a traceback.
    """
