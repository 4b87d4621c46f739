"""CSV files of other programs, read in their own encoding and with their own separator."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MARKS = {  # bytes at a file's beginning -> the encoding that they name
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SEPARATORS = ",;\t|"
NAMED_SEPARATOR = re.compile(
    r'(?i)"?sep=([^\r\n"])"?[;,\t ]*(?:\r\n?|\n)'
)  # a first line for Excel


class Format(NamedTuple):
    """How a file is written."""

    encoding: str = "utf-8"
    separator: str = ","


def decode(data: bytes, otherwise: str = "utf-8") -> tuple[str, str]:
    """Return a file's text and its encoding: that of its byte-order mark, UTF-8, or `otherwise`.

    Raises UnicodeDecodeError if the file is in none of them.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding), encoding
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return data.decode(otherwise), otherwise


def separator_of(text: str) -> str:
    """Return the separator that the file names, or that of the most fields in its first line."""
    if named := NAMED_SEPARATOR.match(text):
        return named[1]
    first = next((line for line in text.splitlines() if line.strip()), "")
    fields = {s: len(next(csv.reader([first], delimiter=s), [])) for s in SEPARATORS}
    return max(fields, key=lambda separator: fields[separator])


def read_rows(text: str, separator: str) -> list[dict[str, str]]:
    """Return the rows by the names of the columns, without empty rows.

    Raises csv.Error if the text is no CSV or two columns have one name.
    """
    if named := NAMED_SEPARATOR.match(text):
        text = text[named.end() :]
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # feedback may be long
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    counts = Counter(name.strip() for name in rows.fieldnames or [])
    if twice := [name for name, count in counts.items() if name and count > 1]:
        raise csv.Error(f"two columns are named {', '.join(twice)}: rename one of them")
    named = [{(k or "").strip(): v or "" for k, v in row.items() if k} for row in rows]
    return [row for row in named if any(row.values())]


def written(rows: Iterable[Sequence[str]], form: Format) -> bytes:
    """Return rows as a file; what its encoding cannot hold is written as in HTML, `&#8364;`."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=form.separator).writerows(rows)
    return text.getvalue().encode(form.encoding, "xmlcharrefreplace")
