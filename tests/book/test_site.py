"""Every solution notebook runs, and the site made of them holds in a real browser.

Offline, quiet, accessible, no wider than a phone, no answers. The profile is smoke.
"""

import os
import resource
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import build_book
import build_notebooks
import nbformat
import notebook_guard as guard
import pytest

ROOT = Path(__file__).parents[2]

PARTS = (
    "_config.yml",
    "_toc.yml",
    "book",
    "notebooks",
    "solutions",
    "README.md",
    "CONTRIBUTING.md",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGES = sorted(
    line.split()[-1] for line in (ROOT / "_toc.yml").read_text().splitlines() if "book/" in line
)
NOTEBOOKS = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*.py"))
SECONDS = 60  # of CPU time per notebook, imports included: other work on the machine does not count


def cpu_seconds() -> float:
    """CPU time of the processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A copy of what the book is made of."""
    folder = tmp_path_factory.mktemp("root")
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / part)
    shutil.rmtree(folder / "book" / "sections", ignore_errors=True)
    return folder


@pytest.fixture(scope="session")
def run(root):
    """A function that runs a solution notebook, once: the notebook, and its seconds of CPU."""
    sources = build_notebooks.read_sources(root)

    @cache
    def run(name):
        before = cpu_seconds()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MNISTDIFF_CACHE", str(root / "cache"))
            folder = root / "_build" / "executed"
            ran = build_book.executed(name, sources[name], "smoke", folder)
        return ran, cpu_seconds() - before

    return run


@pytest.fixture(scope="session")
def site(root, run):
    """The book, built strictly from the executed notebooks."""
    for name in NOTEBOOKS:
        run(name)
    build_book.build(root, "smoke")
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n"]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, "--keep-going"], cwd=root, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return root / "_build" / "html"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_solution_notebook_runs_without_an_error(run, name):
    ran, seconds = run(name)
    assert seconds < SECONDS
    outputs = [out for cell in ran.cells for out in cell.get("outputs", [])]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]
    for cell in ran.cells:
        role = cell.metadata.get("nbgrader", {})
        if role.get("grade") and cell.cell_type == "code":
            earned = [out.data["text/plain"] for out in cell.outputs if "data" in out]
            assert [float(points) for points in earned] == [role["points"]], cell.id


@pytest.fixture(scope="module")  # a process may have one Playwright at a time
def browser():
    """Debian's Chromium; `.ci/run` installs it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the Debian package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def visit(browser, site, page, width=1280, scheme="light"):
    """Open a page; return it with the console's errors and the requests to other places."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.set_default_timeout(120_000)  # the machine may be busy
    errors, foreign = [], []
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.on("request", lambda r: None if local(r.url) else foreign.append(r.url))
    tab.goto((site / f"{page}.html").as_uri(), wait_until="load")
    tab.wait_for_function("!window.MathJax?.startup?.promise || window.MathJax.startup.promise")
    # buttons fade into the dark scheme's colours: in between, the contrast is neither's
    tab.wait_for_function("document.getAnimations().length === 0")
    return tab, errors, foreign


def local(url):
    return url.startswith(("file:", "data:", "blob:", "about:"))


@pytest.mark.parametrize("page", PAGES)
def test_page_is_quiet_offline_and_fits_a_phone(browser, site, page):
    for width, scheme in ((1280, "light"), (360, "dark")):
        tab, errors, foreign = visit(browser, site, page, width, scheme)
        wider = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        unnamed = tab.locator("article img:not([alt]), article img[alt='']").count()
        tab.close()
        assert foreign == []
        assert errors == []
        assert wider <= 0, f"{wider} pixels too wide at {width}"
        assert unnamed == 0, "a picture without alternative text"


@pytest.mark.parametrize("page", ["book/index", "book/judge", "book/sections/01_vae_beta"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_serious_accessibility_fault(browser, site, page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    tab, _, _ = visit(browser, site, page, scheme=scheme)
    found = Axe().run(tab).response["violations"]
    tab.close()
    serious = [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]][:3])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_first_page_draws_a_digit_and_loads_the_weights_only_then(browser, site):
    tab, errors, foreign = visit(browser, site, "book/index")
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    assert tab.locator(".ask img").bounding_box()["y"] < 600
    assert tab.evaluate("document.querySelector('.ask img').naturalWidth") == 560
    assert size_of(tab, site) <= 600_000
    tab.click(".ask button[value=four]")
    tab.wait_for_function("document.querySelector('.ask-status').textContent.includes('Drawn')")
    assert [url for url in asked if "/demo/" in url] == [f"{site.as_uri()}/demo/tiny-mnist-sd.js"]
    assert tab.locator(".ask canvas").first.is_visible()
    assert (errors, foreign) == ([], [])
    tab.close()


def size_of(tab, site):
    """The bytes of everything that a page has loaded, itself included."""
    names = tab.evaluate("performance.getEntries().map((entry) => entry.name)")
    paths = {url2pathname(urlsplit(name).path) for name in names if name.startswith("file:")}
    return sum(Path(path).stat().st_size for path in paths)


@pytest.mark.parametrize("page", [f"book/sections/{name}" for name in NOTEBOOKS])
def test_a_section_opens_with_a_picture_and_is_not_heavy(browser, site, page):
    tab, _, _ = visit(browser, site, page)
    shown = tab.locator("article .cell_output img, article .ask img").first
    assert shown.bounding_box()["y"] < 800
    assert size_of(tab, site) <= 3_000_000
    tests = tab.locator("article details:has-text('What the tests check')")
    assert not tests.count() or tests.first.get_attribute("open") is None
    tab.close()


@pytest.mark.parametrize("name", ["Too few steps", "The prompt as its own negative"])
def test_a_preset_draws(browser, site, name):
    tab, errors, _ = visit(browser, site, "book/sections/06_tiny_sd")
    tab.click(f"text={name}")
    tab.wait_for_function("document.querySelector('.ask-status').textContent.includes('Drawn')")
    tab.click("text=An unknown word")
    tab.wait_for_function("document.querySelector('.ask-status').textContent.includes('never saw')")
    assert errors == []
    tab.close()


def test_the_graph_lights_up(browser, site):
    tab, _, _ = visit(browser, site, "book/sections/07_comfyui")
    tab.click(".ask button[value=four]")
    tab.wait_for_selector(".ask-graph li:nth-child(4).lit")
    tab.close()


def test_the_site_is_light(site):
    assert sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) <= 15_000_000
    scripts = ("engine.js", "demo.js", "demo.css")
    assert sum((site / "demo" / name).stat().st_size for name in scripts) < 30_000
    assert (site / "_static/scripts/fontawesome.js").stat().st_size < 150_000
    assert not list(site.rglob("*.map"))


def test_a_page_without_a_formula_does_not_load_mathjax(browser, site):
    for page, loads in (("book/index", False), ("book/sections/01_vae_beta", True)):
        tab, _, _ = visit(browser, site, page)
        assert tab.evaluate("'MathJax' in window && !!window.MathJax.startup") == loads
        assert tab.locator("mjx-container[tabindex]").count() == 0
        tab.close()


def test_icons_are_drawn(browser, site):
    tab, _, _ = visit(browser, site, "book/sections/01_vae_beta")
    tab.wait_for_selector("svg.svg-inline--fa", state="attached")
    assert tab.locator("i.fa-solid, i.fas").count() == 0
    tab.close()


def test_buttons_lead_to_the_student_notebook(browser, site):
    tab, _, _ = visit(browser, site, "book/sections/01_vae_beta")
    links = tab.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
    tab.close()
    colab = [link for link in links if "colab" in link]
    assert colab
    assert all(link.endswith("/blob/main/notebooks/01_vae_beta.ipynb") for link in colab)
    downloads = [link for link in links if link.startswith("file:") and link.endswith(".ipynb")]
    assert downloads
    assert all(Path(link.removeprefix("file://")).is_file() for link in downloads)


def test_a_mention_of_the_results_page_leads_there(browser, site):
    tab, _, _ = visit(browser, site, "book/sections/06_tiny_sd")
    link = tab.get_by_role("link", name="results page").first
    assert link.get_attribute("href") == "../results.html"
    tab.close()


def test_equations_are_drawn(browser, site):
    tab, _, _ = visit(browser, site, "book/sections/01_vae_beta")
    tab.wait_for_selector("article mjx-container")  # the first of all is in the contents, for print
    assert tab.locator("mjx-merror").count() == 0
    tab.close()


def test_no_answer_and_no_hidden_test_is_on_the_site(site):
    pages = {str(path.relative_to(site)): path.read_text() for path in site.rglob("*.html")}
    sources = build_notebooks.read_sources(ROOT)
    assert guard.check_pages(sources.values(), pages) == []
    given = nbformat.v4.new_code_cell(
        "### BEGIN SOLUTION\ndef kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:\n"
        "### END SOLUTION"
    )  # a line that the page does show is found on it
    shown = guard.check_pages([nbformat.v4.new_notebook(cells=[given])], pages)
    assert [problem.split(":")[0] for problem in shown] == ["book/sections/01_vae_beta.html"]
    for path in site.rglob("*.ipynb"):
        hidden = guard.secrets(sources[path.stem])
        assert guard.check_leaks(path.name, hidden, nbformat.read(path, as_version=4)) == []
