"""Sections 1 to 6, the results page and the glossary quote what we measured through roles only.

Numbers in their prose that no run of ours measured are declared here, and so are the phrases of the
pages of results that compare something else than results.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = sorted((ROOT / "solutions").glob("0[1-6]*.py"))
FULL_SCALE = sorted((ROOT / "book" / "full_scale").glob("0[1-6]*.md"))  # 07 has only the model
PAGES = [ROOT / "book" / "results.md", ROOT / "book" / "glossary.md"]

DIMENSIONS = {number: "a latent dimension of a VAE" for number in ("16", "50", "64", "100", "500")}
NOT_MEASURED = {
    "01_vae_beta": {
        **DIMENSIONS,
        "784": "the pixels of an image",
        "32x32": "the report's padding",
        "90 %": "the threshold of a confident reading",
        "95 %": "the level of the intervals",
        "40": "the report's epochs",
        "200": "the report's long run",
        "150": "words of an answer",
        "250": "words of an answer",
    },
    "02_latent_dim": DIMENSIONS,
    "03_ddpm_ddim": {
        "50": "steps",
        "60": "the report's epochs",
        "100": "timesteps",
        "200": "the report's steps",
        "1000": "timesteps",
        "3.33": "a kept timestep's distance",
        "784": "the pixels of an image",
        "150": "words of an answer",
        "250": "words of an answer",
    },
    "04_latent_diffusion": {
        **DIMENSIONS,
        "0.18215": "Stable Diffusion's factor",
        "0.5": "a beta",
        "0.9": "the threshold of a confident reading",
        "784": "the pixels of an image",
        "85 %": "the report's readable digits",
    },
    "05_clip": {"128": "the images of a batch"},
    "06_tiny_sd": {**DIMENSIONS, "60 %": "the report's Figure 7"},
    "results": {
        **DIMENSIONS,
        "0.93": "an aim",
        "95 %": "an aim",
        "20": "steps",
        "200": "steps",
        "1,000": "steps",
        "256": "grey levels",
        "32": "bits",
    },
    "glossary": {},
}
COMPARE = re.compile(
    r"(?i)\b(best|better|worse|worst|lower|lowest|higher|highest|most|more|less|least|few|fewer"
    r"|faster|slower|almost|nearly|half|slightly|improves?|helps?|gains?)\b"
)
NO_FINDINGS = re.compile(  # phrases that compare and say nothing about our results
    r"lowest FD ratio is at"  # a role says where
    r"|A model that memorises is worse"
    r"|One more improvement"
    r"|at most|the most similar of ten prompts"
)

SKIPPED = re.compile(
    r"(?s)```.*?```|\$\$.*?\$\$|\$[^$]*\$"  # code, directives and mathematics
    r"|\{\w+\}`[^`]*`|`[^`]*`"  # roles and code
    r"|\[[^\]]*\]\([^)]*\)|<[^>]*>|\"[^\"]*\""  # links to papers, HTML and quotations
    r"|(?i:sections?|tables?|figures?|exercises?|eq\.|workflow|appendix|algorithm) [\dD][\d.,]*"
    r"(?:(?:,| and| to) \d+)*"
    r"|(?m:^#+ \d\.|^\s*\d\. )"  # headings and lists
)
NUMBER = re.compile(r"(?<![\w.])\d[\d,.]*(?:x\d+|\s?%)?")


def prose(path):
    """The text of a page, or of a notebook's Markdown without the answers, as readers see it."""
    text = path.read_text()
    if path.suffix == ".py":
        cells = re.findall(r"(?ms)^# %% \[markdown\].*?\n(.*?)(?=^# %%|\Z)", text)
        shown = (cell for cell in cells if "BEGIN SOLUTION" not in cell)
        text = re.sub(r"(?m)^# ?", "", "\n\n".join(shown))
    return SKIPPED.sub(" ", text)


def undeclared(path):
    """The numbers in a page's prose that are neither small counts nor declared."""
    numbers = (number.rstrip(".,") for number in NUMBER.findall(prose(path)))
    known = {*map(str, range(11)), *NOT_MEASURED[path.stem]}
    return [number for number in numbers if number not in known]


def comparisons(path):
    """The sentences that compare in words of their own; those about the report may."""
    parts = re.split(r"(?<=[.:;])\s+|\n\n|\n- ", prose(path))
    sentences = (" ".join(part.split()) for part in parts)
    ours = (each for each in sentences if "report" not in each)
    return [each for each in ours if COMPARE.search(NO_FINDINGS.sub("", each))]


@pytest.mark.parametrize("path", [*SECTIONS, *FULL_SCALE, *PAGES], ids=lambda path: path.name)
def test_numbers_in_prose_are_declared_or_read_from_a_file(path):
    assert undeclared(path) == []


@pytest.mark.parametrize("path", [*FULL_SCALE, PAGES[0]], ids=lambda path: path.name)
def test_prose_about_results_compares_in_claims(path):
    assert comparisons(path) == []


def test_typed_numbers_and_comparisons_are_found(tmp_path):
    path = tmp_path / "02_latent_dim.md"
    path.write_text(
        "With 500 dimensions 87 of 100 units are active, 97.3 %, at {result}`a:b:.2f`.\n"
        "The report calls 50 best. More than {claim}`half | a:b > 1` are better.\n"
    )
    assert undeclared(path) == ["87", "97.3 %"]
    assert comparisons(path) == ["More than are better."]
