"""A self-contained HTML page without scripts; all text is escaped except markup made here.

Students wrote parts of its text, so a Content-Security-Policy forbids the page to load or run
anything.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence

from autograder.text import drop_controls

SHOWN = 15  # rows of a long table that are visible at first


class Html(str):
    """Markup that was made here; every other string is plain text."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """Return an element. In attribute names a final `_` is dropped, and other ones become `-`."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(drop_controls(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{named}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Html:
    """Return the children in order: markup unchanged, text escaped, lists flattened."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(str(child))
        elif isinstance(child, (list, tuple)):
            parts.append(str(join(child)))
        elif child is not None:
            parts.append(html.escape(drop_controls(str(child)), quote=False))
    return Html("".join(parts))


def person(name: str) -> Html:
    """Return a student's name, isolated so that its writing direction affects nothing else."""
    return tag("bdi", name)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """Return a table that scrolls if it is too wide. The first column names the row.

    A head that begins with `#` marks a column of numbers.
    """
    numbers = [name.startswith("#") for name in head]
    heads = [
        tag("th", name.lstrip("#"), scope="col", class_="n" if right else None)
        for name, right in zip(head, numbers, strict=True)
    ]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [
                tag("td", cell, class_="n" if right else None)
                for cell, right in zip(row[1:], numbers[1:], strict=True)
            ],
        )
        for row in rows
    ]
    inner = tag(
        "table", tag("caption", caption), tag("thead", tag("tr", heads)), tag("tbody", body)
    )
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)


def section(title: str, text: object, *content: object) -> Html:
    return tag("section", tag("h2", title), tag("p", text, class_="soft"), content)


def long_table(caption: str, head: list[str], rows: list[list[object]]) -> Html:
    """Return a table whose first rows are visible; a click shows the others."""
    first = table(caption, head, rows[:SHOWN])
    if len(rows) <= SHOWN:
        return first
    more = tag("summary", f"{len(rows) - SHOWN} more")
    return join([first, tag("details", more, table(f"{caption}, the rest", head, rows[SHOWN:]))])


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def bar(label: str, parts: Iterable[tuple[str, float]]) -> Html:
    """Return a bar of shares, each a (class, share of 1), from left to right."""
    drawn, at = [tag("title", label)], 0.0
    for kind, share in parts:
        size = {"x": f"{100 * at:.2f}", "width": f"{100 * share:.2f}", "height": "10"}
        drawn.append(tag("rect", **size, class_=kind))
        at += share
    about = {"class_": "bar", "viewBox": "0 0 100 10", "preserveAspectRatio": "none"}
    return tag("svg", drawn, **about, role="img", aria_label=label)


def histogram(label: str, edges: Sequence[str], counts: Sequence[int], mark: float) -> Html:
    """Return a histogram; `mark`, from 0 to 1, is the position of the median's line."""
    wide, high, top, most = 360, 150, 24, max([1, *counts])
    step = wide / len(counts)
    drawn = [tag("title", label)]
    for place, count in enumerate(counts):
        tall, left, middle = (high - top) * count / most, place * step, (place + 0.5) * step
        size = {"x": f"{left + 1.5:.1f}", "y": f"{high - tall:.1f}", "height": f"{tall:.1f}"}
        drawn.append(tag("rect", **size, width=f"{step - 3:.1f}", class_="most"))
        if count:
            drawn.append(tag("text", count, x=f"{middle:.1f}", y=f"{high - tall - 4:.1f}"))
    for place, edge in enumerate(edges):
        drawn.append(tag("text", edge, x=f"{place * step:.1f}", y=high + 16, class_="axis"))
    drawn.append(tag("path", d=f"M0 {high + 0.5}H{wide}", class_="line"))
    drawn.append(tag("path", d=f"M{mark * wide:.1f} {top - 20}V{high}", class_="median"))
    box = f"-8 0 {wide + 16} {high + 24}"
    return tag("svg", drawn, class_="histogram", viewBox=box, role="img", aria_label=label)


def page(title: str, body: Iterable[object]) -> str:
    """Return the whole document."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<meta name="referrer" content="no-referrer">'),
        tag("title", title),
        tag("style", Html(STYLE)),
    ]
    inner = tag("html", tag("head", head), tag("body", tag("main", *body)), lang="en")
    return f"<!doctype html>\n{inner}\n"


# Okabe and Ito's colours: distinct for every kind of colour vision, and in grey.
STYLE = """
:root { --page: #fff; --ink: #1b1f24; --soft: #59626c; --rule: #d5dae0; --tint: #f4f6f8;
  --full: #0072b2; --part: #7fc4ea; --none: #d55e00; --blank: #c9ced4; --most: #0072b2;
  --warn: #a34700; --max: 68rem }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --ink: #e8eaed; --soft: #a3abb4;
  --rule: #363c43; --tint: #1d2125; --full: #56b4e9; --part: #2a6f97; --none: #e8853d;
  --blank: #4a525b; --most: #56b4e9; --warn: #ffb27a } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
main { max-width: var(--max); margin: 0 auto; padding: 2rem 1rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 }
h2 { font-size: 1.25rem; margin: 3rem 0 .25rem; padding-top: .75rem;
  border-top: 1px solid var(--rule) }
p { margin: .25rem 0 1rem; max-width: 44rem }
.soft, caption { color: var(--soft) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0 0; padding: 0 }
.tiles div { background: var(--tint); border-radius: .5rem; padding: .75rem 1rem }
.tiles dt { color: var(--soft); font-size: .85rem }
.tiles dd { margin: 0; font-size: 1.6rem; font-weight: 600; line-height: 1.25 }
.tiles .warn dd { color: var(--warn) }
.tiles small { display: block; font-size: .85rem; font-weight: 400; color: var(--soft) }
.beside { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 1.5rem 2.5rem;
  align-items: start }
.scroll { overflow-x: auto; margin: .5rem 0 1rem }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--full); outline-offset: 2px }
table { border-collapse: collapse; width: 100%; font-size: .92rem;
  font-variant-numeric: tabular-nums }
caption { text-align: left; font-size: .85rem; padding: 0 .6rem .35rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
  border-bottom: 1px solid var(--rule) }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; vertical-align: bottom;
  white-space: nowrap; border-bottom: 2px solid var(--rule) }
tbody th { font-weight: 500; min-width: 7rem } bdi { overflow-wrap: anywhere }
td { overflow-wrap: break-word }
.n { text-align: right; white-space: nowrap }
.text { min-width: 15rem; display: block }
code { white-space: nowrap;
  font: .92em/1.4 ui-monospace, "SF Mono", Consolas, "Liberation Mono", monospace }
.of { color: var(--soft); font-weight: 400 }
.flag { color: var(--warn); font-weight: 600; white-space: nowrap }
.bar { display: block; width: 100%; min-width: 6rem; height: .8rem; margin-top: .35rem;
  background: var(--tint); border-radius: 2px }
.histogram { display: block; width: 100%; max-width: 32rem; margin: 1rem 0 }
.full { fill: var(--full) } .part { fill: var(--part) } .none { fill: var(--none) }
.blank { fill: var(--blank) } .most { fill: var(--most) }
.histogram text { fill: var(--ink); font-size: 12px; text-anchor: middle }
.histogram .axis { fill: var(--soft); font-size: 11px }
.line { stroke: var(--soft); fill: none }
.median { stroke: var(--none); stroke-width: 2; stroke-dasharray: 5 3; fill: none }
.key { display: inline-flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: 0 0 .5rem;
  padding: 0; font-size: .85rem; color: var(--soft) }
.key svg { width: .8rem; height: .8rem; margin-right: .35rem; vertical-align: -.08rem }
details { margin: 0 0 1rem } summary { cursor: pointer; color: var(--soft); padding: .35rem 0 }
footer { margin-top: 3rem; font-size: .85rem; color: var(--soft) }
@media (max-width: 46rem) { main { padding: 1.25rem .75rem 3rem } h1 { font-size: 1.5rem }
  .beside { grid-template-columns: minmax(0, 1fr); gap: 0 } th, td { padding: .35rem .4rem }
  tbody th:has(code) { min-width: 10rem } .bar { min-width: 4.5rem } }
@media print { :root { --page: #fff; --ink: #000; --soft: #444; --rule: #bbb; --tint: #f2f2f2;
  --full: #0072b2; --part: #7fc4ea; --none: #d55e00; --blank: #c9ced4; --most: #0072b2;
  --warn: #a34700; --max: none }
  body { font-size: 10pt } main { padding: 0 } .scroll { overflow: visible }
  h2 { break-after: avoid } tr, svg, .tiles div { break-inside: avoid }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  details::details-content { content-visibility: visible; display: block } }
"""
