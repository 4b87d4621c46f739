"""Numbers, tables and figures of the book, generated at build time from book/results/*.json.

Pages use `{result-table} name`, `{result-figure} name` and the role {result}`file:key:format`.
A missing file or key stops the build with a message, so no number is typed by hand.
"""

import json
from functools import reduce
from pathlib import Path
from typing import Any

import results_comfyui
import results_diffusion
import results_figures
import results_tables
import results_text
from docutils import nodes
from results_tables import format_seconds
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

FILES = {  # prefix of tables and figures: file
    "vae-report": "vae_report_beta1",
    "judge": "judge",
    "pixel-curve": "pixel_curve",
    "pixel-unguided": "pixel_unguided",
    "pixel": "pixel",
    "latent-curve": "latent_curve",
    "latent-unguided": "latent_unguided",
    "latent-best": "latent_best",
    "latent-report": "latent_beta1_dim50",
    "tiny-sd-fast": "tiny_sd_20_steps",
    "tiny-sd": "tiny_sd",
    "clip": "clip",
    "lora": "loras",
    "ladder": "ladder",
    "comfyui": "comfyui",
}
TABLES = (
    results_tables.TABLES | results_diffusion.TABLES | results_text.TABLES | results_comfyui.TABLES
)
FIGURES = results_figures.FIGURES | results_diffusion.FIGURES


def load(env: BuildEnvironment, name: str) -> dict[str, Any]:
    """Read book/results/<name>.json and record that the page depends on it."""
    path = Path(env.srcdir) / "book" / "results" / f"{name}.json"
    if not path.is_file():
        raise ExtensionError(
            f"The page {env.docname} needs book/results/{name}.json, which is missing. "
            "Run `make results`, or restore the file from the repository."
        )
    env.note_dependency(str(path))
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except json.JSONDecodeError as error:
        raise ExtensionError(f"book/results/{name}.json is not valid JSON: {error}.") from error


def file_for(item: str) -> str:
    """Return the name of the results file behind the table or figure `item`."""
    for prefix, name in FILES.items():
        if item.startswith(prefix):
            return name
    raise ExtensionError(
        f"The book has no results named {item!r}; known prefixes: {', '.join(FILES)}."
    )


def render(env: BuildEnvironment, makers: dict[str, Any], item: str) -> str:
    """Render `item` from its results file. Raises ExtensionError for an unknown item or key."""
    name = file_for(item)
    if item not in makers:
        raise ExtensionError(f"The book has no results named {item!r}; known: {', '.join(makers)}.")
    try:
        return makers[item](load(env, name))
    except KeyError as error:
        raise ExtensionError(f"book/results/{name}.json has no key {error}.") from error


class ResultTable(SphinxDirective):
    """A table from a results file, in Markdown so that it may contain mathematics."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Render the table and let MyST parse it."""
        text = render(self.env, TABLES, self.arguments[0])
        return self.parse_text_to_nodes(text)


class ResultFigure(SphinxDirective):
    """An inline SVG with a caption; its colours follow the page's light or dark mode."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a figure of the drawing and its caption (the directive's content)."""
        svg = render(self.env, FIGURES, self.arguments[0])
        figure = nodes.figure(classes=["result-figure"])
        figure += nodes.raw("", f'<div class="result-plot">{svg}</div>', format="html")
        text = nodes.paragraph()
        self.state.nested_parse(self.content, self.content_offset, text)
        figure += nodes.caption("", "", *[c for p in text.children for c in p.children])
        return [figure]


class ResultRole(SphinxRole):
    """One number in prose: {result}`judge:accuracy:.2%`; a slash in the key enters an object."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Look up the key and format its value."""
        name, key, form = self.text.split(":", 2)
        try:
            value = reduce(lambda found, part: found[part], key.split("/"), load(self.env, name))
        except KeyError as error:
            raise ExtensionError(f"book/results/{name}.json has no key {error}.") from error
        text = format_seconds(value) if form == "time" else format(value, form)
        return [nodes.Text(text)], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the role."""
    app.add_directive("result-table", ResultTable)
    app.add_directive("result-figure", ResultFigure)
    app.add_role("result", ResultRole())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
