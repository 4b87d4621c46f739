"""The exception whose text is written for the user."""


class MnistdiffError(Exception):
    """Bad input; the text says what was found, what was expected and what to do.

    The `mnistdiff` command prints the text and exits with 2, without a traceback.
    """
