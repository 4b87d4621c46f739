"""What a cell showed, rebuilt field by field from what the sandbox says."""

import base64
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.grading.remote_student import text

MAX_NOTEBOOK = 4 << 20  # bytes of a notebook's outputs that are kept


def size_of(output: NotebookNode) -> int:
    return len(str(output))


def rebuilt_output(raw: dict[str, Any]) -> NotebookNode:
    """An output of a kind that we know, rebuilt field by field."""
    new = nbformat.v4.new_output
    match raw["output_type"]:
        case "stream":
            name = "stderr" if raw["name"] == "stderr" else "stdout"
            return new("stream", name=name, text=text(raw["text"], MAX_NOTEBOOK))
        case "error":
            named = {key: text(raw[key], 1000) for key in ("ename", "evalue")}
            lines = [text(line, MAX_NOTEBOOK) for line in raw["traceback"]]
            return new("error", **named, traceback=lines)
        case "display_data" | "execute_result":
            data = {k: rebuild(raw["data"][k]) for k, rebuild in KINDS.items() if k in raw["data"]}
            return new("display_data", data=data)
    raise ValueError(raw["output_type"])


def _markdown(value: object) -> str:
    """Markdown without HTML: a person's browser would run what stands in it."""
    return text(value, MAX_NOTEBOOK).replace("<", "&lt;")


def _picture(value: object) -> str:
    """The base64 of what begins as a PNG does. Raises ValueError."""
    data = base64.b64decode(str(value), validate=False)
    if not data.startswith(b"\x89PNG"):
        raise ValueError("no picture")
    return base64.b64encode(data).decode()


KINDS = {
    "text/plain": lambda value: text(value, MAX_NOTEBOOK),
    "text/markdown": _markdown,
    "image/png": _picture,
}
