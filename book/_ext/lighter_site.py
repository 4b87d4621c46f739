"""Leave out what no reader needs: source maps, unused icons, MathJax where there is no formula."""

import io
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ICONS = Path("_static/scripts/fontawesome.js")
# an icon in the script of Font Awesome: its name, then [width, height, aliases, code, path]
ICON = re.compile(
    r'(?P<name>"[a-z0-9-]+"|[a-z0-9]+):\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?'
)
USED = re.compile(r"\bfa-([a-z0-9-]+)")
UNUSED = ("*.map", "_static/locales/**/*", "*.ttf")  # every browser of today reads .woff2
# the page's script asks for these, without the classes of an icon
ALWAYS = {"circle-check", "circle-xmark", "copy", "check", "xmark", "chevron-right", "chevron-down"}


def drop_mathjax(app: Sphinx, page: str, _: str, context: dict[str, Any], __: Any) -> None:
    """Take MathJax from pages without a formula: it weighs more than the rest of the page."""
    assert app.env is not None
    # not the domain's `has_equations`, which also counts the pages below this one
    if not app.env.domaindata["math"]["has_equations"].get(page):
        scripts = context.get("script_files", [])
        context["script_files"] = [s for s in scripts if "mathjax" not in str(s).lower()]


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Remove and shorten files of the finished site."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in (path for pattern in UNUSED for path in site.rglob(pattern) if path.is_file()):
        path.unlink()
    keep_used_icons(site)
    for path in (site / "_images").glob("*.png"):
        path.write_bytes(with_palette(path.read_bytes()))


def keep_used_icons(site: Path) -> None:
    """Remove the icons that no page or script mentions from the script that draws them."""
    script = site / ICONS
    if not script.exists():
        return
    texts = [p for kind in ("html", "js") for p in site.rglob(f"*.{kind}") if p != script]
    used = ALWAYS.union(*(USED.findall(path.read_text(errors="ignore")) for path in texts))

    def kept(match: re.Match[str]) -> str:
        return match[0] if match["name"].strip('"') in used else ""

    script.write_text(ICON.sub(kept, script.read_text()))


def with_palette(png: bytes) -> bytes:
    """Return a picture with at most 256 colours if that is smaller, otherwise as it is."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png))
    if picture.mode == "RGBA" and picture.getextrema()[3] == (255, 255):
        picture = picture.convert("RGB")
    if picture.mode != "RGB":
        return png
    red, green, blue = picture.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    smaller = red if grey else picture.quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    smaller.save(buffer, format="PNG", optimize=True)
    return min(png, buffer.getvalue(), key=len)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the steps."""
    app.connect("html-page-context", drop_mathjax, priority=900)
    app.connect("build-finished", lighten, priority=900)  # after the other files are there
    return {"parallel_read_safe": True, "parallel_write_safe": True}
