"""Text written by students, made safe for a terminal, a file or a mail."""

import unicodedata


def drop_controls(text: str) -> str:
    """Return the text without characters that control a terminal or the writing direction."""
    kept = (c for c in text if c in "\n\t" or (c.isprintable() and not _sets_direction(c)))
    return "".join(kept)


def one_line(text: str) -> str:
    """Return the text as one line without control characters: it can forge no further lines."""
    return drop_controls(" ".join(text.split()))


def _sets_direction(character: str) -> bool:
    return "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"


def replace_controls(text: str) -> str:
    """Return the text with "?" for control characters and for those no file can hold."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def encodable(value: object, limit: int) -> str:
    """Return at most `limit` characters of a value's text, with "?" for what UTF-8 cannot hold."""
    return str(value)[:limit].encode("utf-8", "replace").decode()


def shown(name: str) -> str:
    """Return a name as it is if a person can see every character of it, otherwise with escapes."""
    return name if name.isprintable() and drop_controls(name) == name else ascii(name)
