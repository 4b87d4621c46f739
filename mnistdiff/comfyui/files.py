"""Workflows on disk: reading them in either format, and writing them into pictures."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from mnistdiff.comfyui.graph import Graph, as_graph
from mnistdiff.comfyui.page import Page, WidgetNames, is_page, known_widgets, to_graph
from mnistdiff.errors import MnistdiffError

OURS = Path(__file__).parent / "workflows_api"


class Workflow(NamedTuple):
    """An API-format graph, and the page that it was converted from."""

    graph: Graph
    page: Page | None = None

    def text_chunks(self) -> dict[str, str]:
        """Return what ComfyUI's SaveImage writes into a PNG: its page opens such a picture."""
        found = {"prompt": json.dumps(self.graph)}
        return found if self.page is None else found | {"workflow": json.dumps(self.page)}


def load_workflow(path: str | Path) -> Graph:
    """Read a workflow as an API-format graph: a file, or one of ours by name, such as "basic".

    A file in the UI format is converted. Raises MnistdiffError if it is not a workflow.
    """
    return read_workflow(path).graph


def read_workflow(
    source: Workflow | dict[str, Any] | str | Path, widgets: WidgetNames = known_widgets
) -> Workflow:
    """Return a workflow from a file, one of ours by name, or its content in either format.

    `widgets` names the widgets of a node, for the UI format. Raises MnistdiffError if it is not a
    workflow.
    """
    if isinstance(source, Workflow):
        return source
    content = _read(source) if isinstance(source, str | Path) else source
    if is_page(content):
        return Workflow(to_graph(content, widgets), content)
    return Workflow(as_graph(content))


def _read(path: str | Path) -> Any:
    ours = {file.stem: file for file in sorted(OURS.glob("*.json"))}
    try:
        # from bytes: json finds the encoding, also with a byte-order mark
        return json.loads(ours.get(str(path), Path(path)).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise MnistdiffError(
            f"{path} is not a workflow ({error}). Give a workflow that ComfyUI saved or exported, "
            f"or one of ours: {', '.join(ours)}."
        ) from error
