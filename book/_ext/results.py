"""Numbers, tables, pictures and claims of the book, made at build time from book/results/*.json.

Pages use the directives `{result-table}`, `{result-figure}`, `{result-pictures}` and
`{when-measured}`, and the roles {result}`value:format` and {claim}`words | condition`;
results_values.py describes values. A wrong claim, or a missing file or key, stops the build with a
message. Where an experiment of `mnistdiff reproduce` is still missing, one sentence says so.
"""

import json
import re
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path
from typing import Any

import results_comfyui
import results_diffusion
import results_figures
import results_report
import results_tables
import results_text
from docutils import nodes
from results_experiments import EXPERIMENTS, is_complete, not_measured, read_experiment, read_json
from results_old import OLD
from results_values import VALUE, evaluate
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

FORM = re.compile(r"\+?,|\+?,?(?:\.\d)?[f%gd]")  # of a number in prose
COMPARES = re.compile(r"[<>]|[=!]=|rising\(|falling\(")
FILES = {  # prefix of tables and figures: file
    "table2": "table2",
    "table3": "table3",
    "table4": "table4",
    "table5": "table5",
    "figure2": "figure2",
    "figure4": "figure4",
    "figure5": "figure5",
    "figure6": "figure6",
    "figure7": "figure7_ours",
    "ablation": "latent_ablation",
    "ladder": "recipe_ladder",
    "pixel-curve": "curve_pixel",
    "latent-curve": "curve_latent",
    "judge": "judge",
    "pixel-unguided": "pixel_unguided",
    "pixel": "pixel",
    "latent-unguided": "latent_unguided",
    "latent-best": "latent_best",
    "latent-report": "latent_beta1_dim50",
    "tiny-sd-fast": "tiny_sd_20_steps",
    "tiny-sd": "tiny_sd",
    "clip": "clip",
    "lora": "loras",
    "comfyui-samplers": "comfyui_samplers",
    "comfyui": "comfyui",
}
TABLES = (
    results_tables.TABLES
    | results_diffusion.TABLES
    | results_text.TABLES
    | results_comfyui.TABLES
    | results_report.TABLES
)
FIGURES = results_figures.FIGURES | results_diffusion.FIGURES


def find(env: BuildEnvironment, name: str) -> dict[str, Any] | None:
    """Read book/results/<name>.json, or return None; the page depends on it either way."""
    folder = Path(env.srcdir) / "book" / "results"
    for stem in (name, *OLD.get(name, ())[:1]):
        env.note_dependency(str(folder / f"{stem}.json"))
    try:
        if name in EXPERIMENTS:
            return read_experiment(folder, name)
        return read_json(folder / f"{name}.json")
    except json.JSONDecodeError as error:
        raise ExtensionError(f"book/results/{name}.json is not valid JSON: {error}.") from error


def load(env: BuildEnvironment, name: str) -> dict[str, Any]:
    """Read book/results/<name>.json. Raises ExtensionError if it is missing."""
    result = find(env, name)
    if result is None:
        raise ExtensionError(
            f"The page {env.docname} needs book/results/{name}.json, which is missing. "
            "Run `make results`, or restore the file from the repository."
        )
    return result


def file_for(item: str) -> str:
    """Return the name of the results file behind the table or figure `item`."""
    for prefix, name in FILES.items():
        if item.startswith(prefix):
            return name
    raise ExtensionError(
        f"The book has no results named {item!r}; known prefixes: {', '.join(FILES)}."
    )


def render(env: BuildEnvironment, makers: Mapping[str, Any], item: str) -> str | None:
    """Render `item` from its results file, or return None for a missing experiment.

    Raises ExtensionError for an unknown item or key, and for a missing file of another kind.
    """
    name = file_for(item)
    if item not in makers:
        raise ExtensionError(f"The book has no results named {item!r}; known: {', '.join(makers)}.")
    result = find(env, name) if name in EXPERIMENTS else load(env, name)
    try:
        return None if result is None else makers[item](result)
    except KeyError as error:
        raise ExtensionError(f"book/results/{name}.json has no key {error}.") from error


class ResultTable(SphinxDirective):
    """A table from a results file, in Markdown so that it may contain mathematics."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Render the table and let MyST parse it."""
        item = self.arguments[0]
        text = render(self.env, TABLES, item)
        return self.parse_text_to_nodes(text or not_measured(file_for(item)))


class ResultFigure(SphinxDirective):
    """An inline SVG with a caption; its colours follow the page's light or dark mode."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a figure of the drawing and its caption (the directive's content)."""
        item = self.arguments[0]
        svg = render(self.env, FIGURES, item)
        if svg is None:
            return self.parse_text_to_nodes(not_measured(file_for(item)))
        figure = nodes.figure(classes=["result-figure"])
        figure += nodes.raw("", f'<div class="result-plot">{svg}</div>', format="html")
        text = nodes.paragraph()
        self.state.nested_parse(self.content, self.content_offset, text)
        figure += nodes.caption("", "", *[c for p in text.children for c in p.children])
        return [figure]


class ResultPictures(SphinxDirective):
    """The grids of samples of an experiment, with caption and alternative texts from its file."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one figure of all grids, a column per configuration."""
        result = load(self.env, self.arguments[0])
        groups = results_report.pictures(result)
        if not groups:
            return []
        columns = [nodes.container("", *map(self._grid, group)) for group in groups]
        figure = nodes.figure(classes=["result-pictures"])
        figure += nodes.container("", *columns, classes=["result-grids"])
        caption = results_report.caption(result)
        figure += nodes.caption(caption, caption)
        return [figure]

    def _grid(self, picture: results_report.Picture) -> nodes.container:
        image = nodes.image(uri=f"/book/results/{picture.file}", alt=picture.alt)
        return nodes.container("", image, nodes.paragraph(picture.label, picture.label))


class WhenMeasured(SphinxDirective):
    """Content that needs experiments; while one is incomplete, a sentence stands in its place.

    With the option `quiet`, nothing does: a table above has the sentence.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"quiet": lambda argument: True}  # noqa: RUF012 (as docutils declares it)

    def run(self) -> list[nodes.Node]:
        """Parse the content if all experiments are complete."""
        found = {name: find(self.env, name) for name in self.arguments[0].split()}
        missing = {name: result for name, result in found.items() if not is_complete(result)}
        if not missing:
            return self.parse_content_to_nodes()
        if "quiet" in self.options:
            return []
        return self.parse_text_to_nodes(" ".join(starmap(not_measured, missing.items())))


class ValueRole(SphinxRole):
    """What roles share that read values from results files."""

    def value(self, expression: str) -> Any:
        """Evaluate an expression. Raises ExtensionError naming the page and the fault."""
        try:
            return evaluate(expression, lambda name: load(self.env, name))
        except ValueError as error:
            raise self.fault(str(error)) from error

    def fault(self, sentence: str) -> ExtensionError:
        """Return an error that names the page and quotes the role's text."""
        return ExtensionError(f"The page {self.env.docname}: {sentence}, in `{self.text}`.")


class ResultRole(ValueRole):
    """One number in prose: {result}`judge:accuracy:.2%`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Evaluate the expression and format its value."""
        expression, _, form = self.text.rpartition(":")
        if not FORM.fullmatch(form):
            raise self.fault("write a format such as `:.2f` at the end")
        try:
            return [nodes.Text(format(self.value(expression), form))], []
        except (TypeError, ValueError) as error:
            raise self.fault(str(error)) from error


class ClaimRole(ValueRole):
    """Words that a results file supports: {claim}`better | ladder:accuracy[rung=guidance] > 0.9`.

    With a third part, the words for when the condition does not hold; else that stops the build.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Check the condition and return the words that are true."""
        parts = [part.strip() for part in self.text.split(" | ")]
        if len(parts) not in (2, 3):
            raise self.fault("a claim has words, a condition and, optionally, other words")
        words, condition, *otherwise = parts
        bare = VALUE.sub("", condition)
        holds = self.value(condition)
        if type(holds) is not bool or bare == condition or not COMPARES.search(bare):
            raise self.fault("the condition of a claim must compare values of a results file")
        if holds:
            return [nodes.Text(words)], []
        if not otherwise:
            disagrees = f"says {words!r}, but its results file disagrees: {condition} does not hold"
            raise self.fault(f"{disagrees}. Correct the words")
        return [nodes.Text(otherwise[0])], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the roles."""
    app.add_directive("result-table", ResultTable)
    app.add_directive("result-figure", ResultFigure)
    app.add_directive("result-pictures", ResultPictures)
    app.add_directive("when-measured", WhenMeasured)
    app.add_role("result", ResultRole())
    app.add_role("claim", ClaimRole())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
