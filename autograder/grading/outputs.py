"""What the cells of a notebook show, rebuilt field by field from what the sandbox sends."""

import base64
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.text import encodable

MAX_NOTEBOOK = 4 << 20  # characters of a notebook's outputs that are kept
MAX_OUTPUTS = 60  # of one cell


class Outputs:
    """The outputs of one notebook, kept as long as there is room for them."""

    def __init__(self, room: int) -> None:
        self.room = room

    def replace(self, cell: NotebookNode, sent: list) -> None:
        """Give a cell the well-formed outputs among those sent, in place of earlier ones."""
        self.room += sum(map(_size_of, cell.outputs))  # of a run before a restart
        kept = []
        for raw in sent[:MAX_OUTPUTS]:
            try:
                output = rebuilt_output(raw)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue
            if _size_of(output) <= self.room:
                self.room -= _size_of(output)
                kept.append(output)
        cell.outputs = kept


def _size_of(output: NotebookNode) -> int:
    return len(str(output))


def rebuilt_output(raw: dict[str, Any]) -> NotebookNode:
    """Return an output of a known kind, rebuilt field by field.

    Raises KeyError, TypeError, ValueError or AttributeError if it is malformed.
    """
    new = nbformat.v4.new_output
    match raw["output_type"]:
        case "stream":
            name = "stderr" if raw["name"] == "stderr" else "stdout"
            return new("stream", name=name, text=encodable(raw["text"], MAX_NOTEBOOK))
        case "error":
            named = {key: encodable(raw[key], 1000) for key in ("ename", "evalue")}
            lines = [encodable(line, MAX_NOTEBOOK) for line in raw["traceback"]]
            return new("error", **named, traceback=lines)
        case "display_data" | "execute_result":
            data = {k: rebuild(raw["data"][k]) for k, rebuild in KINDS.items() if k in raw["data"]}
            return new("display_data", data=data)
    raise ValueError(raw["output_type"])


def error_output(reason: str) -> dict[str, Any]:
    """Return the output that stands in a cell whose code ended the process."""
    return {"output_type": "error", "ename": "Ended", "evalue": reason, "traceback": [reason]}


def text_output(text: str) -> NotebookNode:
    """Return an output that prints this text."""
    return nbformat.v4.new_output("stream", name="stdout", text=f"{text}\n")


def _plain(value: object) -> str:
    return encodable(value, MAX_NOTEBOOK)


def _markdown(value: object) -> str:
    """Return Markdown without HTML, which the reader's browser would run."""
    return _plain(value).replace("<", "&lt;")


def _picture(value: object) -> str:
    """Return the base64 text of a PNG. Raises ValueError if it does not begin like one."""
    data = base64.b64decode(str(value), validate=False)
    if not data.startswith(b"\x89PNG"):
        raise ValueError("not a PNG")
    return base64.b64encode(data).decode()


KINDS = {"text/plain": _plain, "text/markdown": _markdown, "image/png": _picture}
