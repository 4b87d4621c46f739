"""Text of strangers, made safe to print: in a terminal, a file, a mail."""

import unicodedata


def drop_controls(text: str) -> str:
    """Text without what would command a terminal, or turn the writing direction around."""
    kept = (c for c in text if c in "\n\t" or (c.isprintable() and not _turns(c)))
    return "".join(kept)


def _turns(character: str) -> bool:
    return "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"


def replace_controls(text: str) -> str:
    """A text without what commands a terminal, or cannot be written to a file."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
