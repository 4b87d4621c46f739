"""The text-to-image model for a browser: its weights, and the page that samples with them."""

from mnistdiff.web.export import export_web

__all__ = ["export_web"]
