"""The directive `ask`: the text-to-image model, drawing in the reader's browser."""

import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = "demo"
PICTURE = "digits.png"
ROWS = 3  # of the picture that stands there before the first click
HTML = """<section class="ask" aria-label="Ask for a digit"{attributes}>
<img src="{root}{folder}/{picture}" width="560" height="{height}"
 alt="Handwritten digits from 0 to 9, {rows} of each, that the model drew.">
<noscript><p>The model can draw new digits here if JavaScript is on.</p></noscript>
</section>
<link rel="stylesheet" href="{root}{folder}/demo.css">
<script defer src="{root}{folder}/engine.js"></script>
<script defer src="{root}{folder}/demo.js"></script>
"""


class Ask(SphinxDirective):
    """Place the form; the content is a JSON list of presets, [label, state]."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"graph": directives.flag, "state": directives.flag}

    def run(self) -> list[nodes.Node]:
        from mnistdiff.pipeline import shipped_loras

        attributes = "".join(f" data-{name}" for name in self.options)
        attributes += f' data-loras="{",".join(shipped_loras())}"'
        if self.content:
            presets = json.dumps(json.loads("\n".join(self.content)))
            escaped = presets.replace("&", "&amp;").replace("'", "&#39;")
            attributes += f" data-presets='{escaped}'"
        html = HTML.format(
            attributes=attributes,
            root="../" * self.env.docname.count("/"),
            folder=FOLDER,
            picture=PICTURE,
            height=56 * ROWS,
            rows=ROWS,
        )
        return [nodes.raw("", html, format="html")]


def write_demo(app: Sphinx, error: Exception | None) -> None:
    """Write the page's scripts without comments, the weights, and a picture of real samples."""
    if error is not None or app.builder.format != "html":
        return
    import rcssmin
    import rjsmin

    from mnistdiff.pipeline import TextToImagePipeline, shipped_loras
    from mnistdiff.web import export_web

    smaller = {"engine.js": rjsmin.jsmin, "demo.js": rjsmin.jsmin, "demo.css": rcssmin.cssmin}
    target = Path(app.outdir, FOLDER)
    target.mkdir(exist_ok=True)
    pipeline = TextToImagePipeline.from_pretrained()
    with tempfile.TemporaryDirectory() as folder:
        for path in export_web(pipeline, folder, list(shipped_loras())):
            if path.name != "index.html":  # the book's own pages hold the form
                text = path.read_text()
                (target / path.name).write_text(smaller.get(path.name, str)(text))
    draw_picture(pipeline, target / PICTURE)


def draw_picture(pipeline: Any, path: Path) -> None:
    """Save a grid of digits, one column per digit, at two pixels per pixel."""
    import torch

    from mnistdiff.pictures import save_grid

    drawn = pipeline([str(digit) for digit in range(10)] * ROWS, generator=torch.manual_seed(0))
    save_grid(path, drawn.images, columns=10, scale=2)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("ask", Ask)
    app.connect("build-finished", write_demo)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
