"""Fixes for Jupyter Book 1: Thebe, offline MathJax, the theme's mode, and empty API entries."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

MATHJAX_PARTS = ("tex-mml-chtml.js", "output/chtml")


def silence_thebe(app: Sphinx) -> None:
    """Unhook sphinx-thebe, which declares its script's constant twice on every page.

    Its `builder-inited` listener stays: it provides the style sheet that pages link to.
    """
    for event in ("env-before-read-docs", "doctree-resolved"):
        listeners = app.events.listeners[event]
        listeners[:] = [
            listener
            for listener in listeners
            if not listener.handler.__module__.startswith("sphinx_thebe")
        ]


def set_default_mode(app: Sphinx, config: Config) -> None:
    """Set the theme's mode, because an empty one is an error in the browser's console."""
    config.html_context.setdefault("default_mode", "auto")


def mathjax_folder() -> Path:
    """Return the folder of MathJax in its package. Raises ExtensionError if it is missing."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError(
            "The book needs the package sphinx-mathjax-offline for its equations. Install it."
        )
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy MathJax next to the pages, so that equations work offline."""
    if error is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "vendor" / "mathjax"
    for part in MATHJAX_PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, target / part)


def skip_bare_fields(app: Sphinx, what: str, name: str, found: Any, *_: Any) -> bool | None:
    """Skip named-tuple fields that have only Python's automatic docstring."""
    return True if (found.__doc__ or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the fixes."""
    silence_thebe(app)
    mathjax_folder()
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-skip-member", skip_bare_fields)
    app.connect("config-inited", set_default_mode)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
