"""Take a picture of every page of the built site, on a phone and a wide screen, light and dark."""

import argparse
import shutil
import sys
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTHS = (360, 1280)
THEMES = ("light", "dark")


def pages(site: Path) -> list[Path]:
    """Return the site's pages of prose, in the order of their names."""
    return sorted(site.glob("book/**/*.html"))


def take(site: Path, folder: Path, only: str) -> int:
    """Write NAME-WIDTH-THEME.png for every page whose path contains `only`; return their number."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    chosen = [page for page in pages(site) if only in str(page.relative_to(site))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for width, theme in product(WIDTHS, THEMES):
            tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
            for page in chosen:
                tab.goto(page.as_uri(), wait_until="load")
                tab.wait_for_function("!window.MathJax || window.MathJax.startup.promise")
                name = "-".join(page.relative_to(site / "book").with_suffix("").parts)
                height = tab.evaluate("document.documentElement.scrollHeight")
                tab.set_viewport_size({"width": width, "height": min(height, 16_000)})
                tab.screenshot(path=folder / f"{name}-{width}-{theme}.png")
                tab.set_viewport_size({"width": width, "height": 800})
            tab.close()
        browser.close()
    return len(chosen) * len(WIDTHS) * len(THEMES)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="pages whose path contains this text")
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "shots")
    arguments = parser.parse_args()
    if not pages(arguments.site):
        sys.exit(f"{arguments.site} has no pages. Run `make book` first.")
    if shutil.which("chromium") is None:
        sys.exit("There is no Chromium: install the Debian package chromium.")
    print(take(arguments.site, arguments.out, arguments.only), "pictures in", arguments.out)


if __name__ == "__main__":
    main()
