"""A picture of a ComfyUI graph: nodes in rows by depth, links coloured by type."""

from collections.abc import Collection
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mnistdiff.comfyui.graph import Graph, is_link, nodes
from mnistdiff.plotting.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# colour and dashes of each type: colour alone must not distinguish links
TYPES = {
    "MODEL": (BLUE, "-"),
    "CLIP": ("#997700", "--"),
    "VAE": (PURPLE, "-."),
    "CONDITIONING": (ORANGE, "-"),
    "LATENT": (GREEN, "--"),
    "IMAGE": (GREY, "-"),
}
OUTPUTS = {name: node.outputs for name, node in nodes().items()}
OUTPUTS["CheckpointLoaderSimple"] = OUTPUTS["MnistdiffLoader"]
WIDTH, LANE, GAP = 2.2, 0.22, 0.1  # inches: a box, a lane for a passing link, the space between
LINE, ROW_GAP = 0.17, 0.55  # inches: a line of text, the space between rows
MAX_TEXT = 30  # characters of a value that fit into a box


class Link(NamedTuple):
    """A link from output `slot` of node `source` to input `field` of node `target`."""

    source: str
    slot: int
    target: str
    field: str
    kind: str


def links(graph: Graph) -> list[Link]:
    """Return every link of a graph with its type ("?" for the outputs of unknown nodes)."""
    found = []
    for target, node in graph.items():
        for field, value in node["inputs"].items():
            if is_link(value) and str(value[0]) in graph:
                source, slot = str(value[0]), value[1]
                kinds = OUTPUTS.get(graph[source]["class_type"], ())
                kind = kinds[slot] if slot in range(len(kinds)) else "?"
                found.append(Link(source, slot, target, field, kind))
    return found


def depths(graph: Graph) -> dict[str, int]:
    """Return the number of links on the longest path to each node; cycles are cut."""
    sources = {
        name: [link.source for link in links(graph) if link.target == name] for name in graph
    }

    def depth(name: str, path: tuple[str, ...] = ()) -> int:
        before = [source for source in sources[name] if source not in (*path, name)]
        return max((1 + depth(source, (*path, name)) for source in before), default=0)

    return {name: depth(name) for name in graph}


def plot_workflow(graph: Graph, new: Collection[str] = (), title: str = "") -> "Figure":
    """Draw an API-format graph; the nodes named in `new` get a coloured frame."""
    found = links(graph)
    lines = {name: _value_lines(node["inputs"]) for name, node in graph.items()}
    rows = _assign_rows(graph, found)
    at, size = _layout(rows, lines)
    figure, axes = new_figure(1, 1, (max(size[0], 4.4), size[1] + 0.75))
    ax = axes[0, 0]
    ax.set(xlim=(0, size[0]), ylim=(size[1], -0.05), aspect="equal", title=title)
    ax.set_axis_off()
    for link in found:
        _draw_link(ax, graph, found, rows, at, link, lines)
    for name, node in graph.items():
        _draw_box(ax, f"{name}  {node['class_type']}", lines[name], at[name], name in new)
    _legend(figure, ax, found)
    return figure


def _value_lines(inputs: dict) -> list[str]:
    """Return the lines of a box that show its values: texts in quotes, long lines cut."""
    lines = []
    for field, value in inputs.items():
        if not is_link(value):
            text = f'{field}: "{value}"' if field == "text" else f"{field}: {value}"
            lines.append(text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 2]} …")
    return lines


def _assign_rows(graph: Graph, found: list[Link]) -> list[list]:
    """Return the items at each depth: nodes, and (node, output) where a link passes by."""
    depth = depths(graph)
    rows: list[list] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in graph:
        rows[depth[name]].append(name)
    for link in found:
        for row in rows[depth[link.source] + 1 : depth[link.target]]:
            if (link.source, link.slot) not in row:
                row.append((link.source, link.slot))
    for above, row in pairwise(rows):
        row.sort(key=lambda item: _mean_position_above(item, above, found))
    return rows


def _mean_position_above(item: str | tuple, above: list, found: list[Link]) -> float:
    """Return the mean position in the row above of the sources of an item's links."""
    if isinstance(item, tuple):
        source = item if item in above else item[0]
        return above.index(source) + 0.3 * item[1] if source in above else 0.0
    wires = [link for link in found if link.target == item]
    sources = [(link.source, link.slot) for link in wires if (link.source, link.slot) in above]
    sources += [link.source for link in wires if link.source in above]
    slots = [0.3 * link.slot for link in wires if link.source in above]
    return (sum(above.index(source) for source in sources) + sum(slots)) / max(len(sources), 1)


def _layout(rows: list[list], lines: dict[str, list[str]]) -> tuple[dict, tuple[float, float]]:
    """Return left, top and height of each box and lane, in centred rows; and the total size."""
    tops, at = 0.0, {}
    widths = [sum((WIDTH if isinstance(i, str) else LANE) + GAP for i in row) for row in rows]
    for index, (row, width) in enumerate(zip(rows, widths, strict=True)):
        left = (max(widths) - width + GAP) / 2
        height = max(LINE * (len(lines.get(item, ())) + 1.8) for item in row)
        for item in row:
            box = isinstance(item, str)
            own = LINE * (len(lines[item]) + 1.8) if box else height
            at[item if box else (item, index)] = (left, tops + height - own, own)
            left += (WIDTH if box else LANE) + GAP
        tops += height + ROW_GAP
    return at, (max(widths) + 0.05, tops - ROW_GAP + 0.05)


def _port(place: tuple[float, float, float], index: int, count: int, below: bool) -> tuple:
    """Return a point on the lower or upper edge of a box."""
    left, top, height = place
    return left + WIDTH * (index + 1) / (count + 1), top + height * below


def _draw_link(
    ax: "Axes",
    graph: Graph,
    found: list[Link],
    rows: list[list],
    at: dict,
    link: Link,
    lines: dict,
) -> None:
    """Draw a curve from an output to an input, through the lanes of the rows between."""
    kinds = OUTPUTS.get(graph[link.source]["class_type"], ("?",))
    wires = [other for other in found if other.target == link.target]
    points = [_port(at[link.source], link.slot, len(kinds), True)]
    for index, row in enumerate(rows):
        if (link.source, link.slot) in row and link.target not in _items_up_to(rows, index):
            left, top, height = at[(link.source, link.slot), index]
            points += [(left + LANE / 2, top), (left + LANE / 2, top + height)]
    points.append(_port(at[link.target], wires.index(link), len(wires), False))
    colour, dash = TYPES.get(link.kind, (GREY, ":"))
    _curve(ax, points, colour, dash)
    for point in (points[0], points[-1]):
        ax.plot(*point, "o", color=colour, ms=4.5, zorder=3)


def _items_up_to(rows: list[list], index: int) -> list:
    """Return the items of all rows up to this one."""
    return [item for row in rows[: index + 1] for item in row]


def _curve(ax: "Axes", points: list[tuple[float, float]], colour: str, dash: str) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    path, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    ax.add_patch(PathPatch(Path(path, codes), fill=False, ec=colour, ls=dash, lw=1.7, zorder=1))


def _draw_box(
    ax: "Axes", name: str, lines: list[str], place: tuple[float, float, float], new: bool
) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, top, height = place
    edge, wide = (ORANGE, 2.4) if new else (GREY, 1.0)
    ax.add_patch(
        FancyBboxPatch(
            (left, top),
            WIDTH,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc="white",
            ec=edge,
            lw=wide,
            zorder=2,
        )
    )
    ax.text(left + 0.08, top + 0.17, name, va="center", weight="bold", fontsize=9.5, zorder=4)
    for index, line in enumerate(lines):
        y = top + LINE * (index + 2.05)
        ax.text(left + 0.08, y, line, va="center", fontsize=8.5, zorder=4, parse_math=False)


def _legend(figure: "Figure", ax: "Axes", found: list[Link]) -> None:
    for kind in [kind for kind in TYPES if any(link.kind == kind for link in found)]:
        colour, dash = TYPES[kind]
        ax.plot([], [], color=colour, ls=dash, lw=1.9, label=kind)
    handles = ax.get_legend_handles_labels()
    figure.legend(*handles, frameon=False, ncols=3, loc="outside lower center", fontsize=9)
