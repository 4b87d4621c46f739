"""Workflows as ComfyUI's page saves them (the UI format), turned into API-format graphs.

The page keeps the values of a node's widgets as a list without names. Here the names come from the
nodes that this library knows, from the node's own entry (newer pages name the widgets there), or
from a server's /object_info.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mnistdiff.comfyui.graph import Graph, nodes
from mnistdiff.errors import MnistdiffError

Page = dict[str, Any]
WidgetNames = Callable[[str], Sequence[str] | None]  # by the type of a node; None: unknown
WIDGETS = ("INT", "FLOAT", "STRING", "CHOICE")
MUTED, BYPASSED = 2, 4
ONLY_ON_THE_PAGE = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
AFTER_A_SEED = ("fixed", "increment", "decrement", "randomize")  # a widget that only the page has
EXPORT = "Export it with Workflow > Export (API) in ComfyUI, and give that file."


def is_page(workflow: Any) -> bool:
    """Return whether a workflow is in the UI format."""
    return isinstance(workflow, dict) and isinstance(workflow.get("nodes"), list)


def known_widgets(kind: str) -> Sequence[str] | None:
    """Return the names of the widgets of a node that runs without ComfyUI."""
    node = nodes().get(kind)
    if node is None:
        return None
    return [name for name, given in node.inputs.items() if given.kind in WIDGETS]


def to_graph(page: Page, widgets: WidgetNames = known_widgets) -> Graph:
    """Return the API-format graph that ComfyUI would export from a page.

    Muted nodes and notes are left out; links run past bypassed nodes and reroutes to what feeds
    them. Raises MnistdiffError, naming the node, if the page cannot be converted.
    """
    try:
        return _Page(page).convert(widgets)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise MnistdiffError(
            f"the workflow is in the UI format but damaged ({type(error).__name__}: {error}). "
            f"{EXPORT}"
        ) from error


class _Page:
    """A page's nodes by id, and its links by number as (source, output)."""

    def __init__(self, page: Page) -> None:
        self.nodes = {str(node["id"]): node for node in page["nodes"]}
        self.subgraphs = [one["id"] for one in page.get("definitions", {}).get("subgraphs", ())]
        self.sources = dict(map(_source, page["links"]))

    def convert(self, widgets: WidgetNames) -> Graph:
        return {
            name: {"class_type": node["type"], "inputs": dict(self._inputs(node, widgets))}
            for name, node in self.nodes.items()
            if node["type"] not in ONLY_ON_THE_PAGE and node.get("mode", 0) not in (MUTED, BYPASSED)
        }

    def _inputs(self, node: dict[str, Any], widgets: WidgetNames) -> Iterator[tuple[str, Any]]:
        if node["type"] in self.subgraphs:
            raise MnistdiffError(
                f"node {node['id']}: it is a subgraph, which is not converted here. {EXPORT}"
            )
        yield from _widget_values(node, widgets)
        for entry in node.get("inputs", ()):
            feeding = self._follow(entry.get("link"))
            if feeding is not None:
                yield entry["name"], feeding

    def _follow(self, link: int | None) -> Any:
        """Return the link [node, output] that feeds an input, a primitive's value, or None."""
        passed = set()
        while link is not None and link not in passed:
            passed.add(link)
            name, slot = self.sources[link]
            node = self.nodes[name]
            if node.get("mode", 0) == MUTED:
                return None
            if node["type"] == "PrimitiveNode":
                return node["widgets_values"][0]
            if node["type"] == "Reroute":
                link = node["inputs"][0].get("link")
            elif node.get("mode", 0) == BYPASSED:
                link = _bypass(node, slot)
            else:
                return [name, slot]
        return None


def _source(link: Any) -> tuple[int, tuple[str, int]]:
    """Return a link's number and source; newer pages write links as objects."""
    if isinstance(link, dict):
        return link["id"], (str(link["origin_id"]), link["origin_slot"])
    number, source, slot, *_ = link
    return number, (str(source), slot)


def _bypass(node: dict[str, Any], slot: int) -> int | None:
    """Return the link into a bypassed node that replaces its output: of the same type, as there."""
    kind, inputs = node["outputs"][slot]["type"], node.get("inputs", [])
    same = [entry for entry in [*inputs[slot : slot + 1], *inputs] if entry["type"] == kind]
    return same[0].get("link") if same else None


def _widget_values(node: dict[str, Any], widgets: WidgetNames) -> Iterator[tuple[str, Any]]:
    values = node.get("widgets_values") or []
    if isinstance(values, dict):
        yield from values.items()
        return
    named = [entry["widget"]["name"] for entry in node.get("inputs", ()) if entry.get("widget")]
    names = widgets(node["type"]) or named
    if values and not names:
        raise MnistdiffError(
            f"node {node['id']} ({node['type']}): this file does not name its values, and the node "
            f"is unknown here. {EXPORT} With `server` (--server), that ComfyUI names them."
        )
    left = list(values)
    for name in names:
        if left:
            yield name, left.pop(0)
        if name.endswith("seed") and left and left[0] in AFTER_A_SEED:
            left.pop(0)
