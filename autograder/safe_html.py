"""Make a student's HTML safe to show in a browser; nbgrader's own templates do not.

The course's settings apply `clean` to everything that nbgrader renders, in feedback and in
formgrader.
"""

import re

import bleach

TAGS = (
    "a abbr b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol "
    "p pre s small span strong sub summary sup table tbody td th thead tr u ul"
)
PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
NAMES = {"a": {"href", "title"}, "img": {"alt", "title", "width", "height"}, "ol": {"start"}}
STYLED = {"div", "pre", "code", "span"}  # of highlighted code


def clean(html: object) -> str:
    """Return the HTML without scripts, styles, frames, forms and linked pictures."""
    text = html.decode() if isinstance(html, bytes) else str(html)
    return bleach.clean(text, TAGS.split(), _allowed, ["http", "https", "mailto", "data"])


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return tag == "img" and PICTURE.fullmatch(value) is not None
    if name == "href" and value.strip().lower().startswith("data:"):
        return False
    return name in NAMES.get(tag, ()) or (name == "class" and tag in STYLED)
