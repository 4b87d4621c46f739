"""Links from section pages to their notebooks and the results, and the 404 page."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils.nodes import Text, document, inline, reference
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SECTIONS = "book/sections/"
RESULTS = "results page"


def notebook_of(app: Sphinx, pagename: str) -> Path | None:
    """Return the student notebook of a section page, or None for a prose page."""
    if not pagename.startswith(SECTIONS):
        return None
    path = Path(app.srcdir) / "notebooks" / f"{pagename.removeprefix(SECTIONS)}.ipynb"
    if not path.is_file():
        raise ExtensionError(
            f"The page {pagename} has no student notebook notebooks/{path.name}: "
            "build the notebooks first (make notebooks)."
        )
    return path


def point_to_notebook(buttons: list[dict[str, Any]], pagename: str, name: str) -> None:
    """Rewrite the launch links of a page (`.../book/sections/NN.ipynb`) in place."""
    for button in buttons:
        if "url" in button:
            button["url"] = button["url"].replace(f"{pagename}.ipynb", f"notebooks/{name}")
        point_to_notebook(button.get("buttons", []), pagename, name)


def download_group(context: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the download button with its two entries: the student notebook and printing."""
    notebook = {
        "type": "link",
        "url": context["pathto"](f"notebooks/{name}", 1),
        "text": "Student notebook",
        "tooltip": "Download the notebook to fill in",
        "icon": "fas fa-book-open",
        "label": "download-notebook-button",
    }
    printed = {
        "type": "javascript",
        "javascript": "window.print()",
        "text": "Print or PDF",
        "tooltip": "Print this page",
        "icon": "fas fa-file-pdf",
        "label": "download-pdf-button",
    }
    return {
        "type": "group",
        "tooltip": "Download this page",
        "icon": "fas fa-download",
        "buttons": [notebook, printed],
        "label": "download-buttons",
    }


def add_buttons(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: document | None
) -> None:
    """Give a section page its launch and download buttons."""
    notebook = notebook_of(app, pagename) if doctree else None
    if notebook is not None:
        point_to_notebook(context["header_buttons"], pagename, notebook.name)
        context["header_buttons"].insert(0, download_group(context, notebook.name))


def link_results(app: Sphinx, doctree: document) -> None:
    """Turn each mention of the results page into a link, which a notebook itself cannot have."""
    docname = app.env.docname
    mentions = [text for text in doctree.findall(Text) if RESULTS in text]
    for text in mentions if docname.startswith(SECTIONS) else ():
        if isinstance(text.parent, reference):
            continue
        before, _, after = text.partition(RESULTS)
        link = pending_xref(
            "",
            inline("", RESULTS),
            refdoc=docname,
            refdomain="std",
            reftype="doc",
            reftarget="/book/results",
            refexplicit=True,
        )
        text.parent.replace(text, [Text(before), link, Text(after)])


def copy_notebooks(app: Sphinx) -> None:
    """Copy the student notebooks of the built sections next to the pages."""
    target = Path(app.outdir) / "notebooks"
    for docname in app.env.found_docs:
        notebook = notebook_of(app, docname)
        if notebook is not None:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(notebook, target / notebook.name)


def write_404(app: Sphinx) -> None:
    """Write 404.html with links from the site's root, because it is served at any depth."""
    template = Path(app.srcdir) / "book" / "_templates" / "404.html"
    base = urlsplit(app.config.html_baseurl).path or "/"
    text = template.read_text(encoding="utf8").replace("{{base}}", base)
    (Path(app.outdir) / "404.html").write_text(text, encoding="utf8")


def finish(app: Sphinx, error: Exception | None) -> None:
    """Add the files that are not pages of the book."""
    if error is None and app.builder.format == "html":
        copy_notebooks(app)
        write_404(app)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks; the buttons come after the theme's own (priority 501 and 502)."""
    app.connect("doctree-read", link_results)
    app.connect("html-page-context", add_buttons, priority=900)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
