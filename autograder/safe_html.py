"""Make a student's HTML safe to show in a browser; nbgrader's own templates do not.

The course's settings apply `clean` to everything that nbgrader renders, in feedback and in
formgrader, and let `markdown` render the texts.
"""

import html
import re
from functools import cache
from typing import Any

import bleach
from jinja2 import pass_context

TAGS = (
    "a abbr b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol "
    "p pre s small span strong sub summary sup table tbody td th thead tr u ul"
)
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*")
NAMES = {"a": {"href", "title"}, "img": {"alt", "title", "width", "height"}, "ol": {"start"}}
STYLED = {"div", "pre", "code", "span"}  # of highlighted code


@pass_context
def markdown(context: Any, source: str) -> str:
    """Return the HTML of a Markdown cell; its plain text if it cannot be rendered.

    One text must not cost a student all feedback: nbconvert stops at a picture that was not pasted
    along with the text, for example.
    """
    try:
        return _exporter().markdown2html(context, source)
    except Exception:  # whatever the parser raises on a student's text
        return f"<pre>{html.escape(source)}</pre>"


@cache
def _exporter() -> Any:
    from nbconvert.exporters import HTMLExporter

    return HTMLExporter()


def clean(markup: object) -> str:
    """Return the HTML without scripts, styles, frames, forms and linked pictures.

    HTML that is nested too deeply is shown as text.
    """
    text = markup.decode() if isinstance(markup, bytes) else str(markup)
    try:
        return _cleaned(text)
    except RecursionError:
        return f"<pre>{html.escape(text)}</pre>"


def _cleaned(text: str) -> str:
    return bleach.clean(text, TAGS.split(), _allowed, ["http", "https", "mailto", "data"])


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return tag == "img" and PICTURE.fullmatch(value) is not None
    if name == "href" and value.strip().lower().startswith("data:"):
        return False
    return name in NAMES.get(tag, ()) or (name == "class" and tag in STYLED)
