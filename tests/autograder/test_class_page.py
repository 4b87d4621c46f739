"""The page about a class: safe with hostile text, complete, readable on a phone and in the dark."""

import random
import re
import shutil

import pytest

from autograder.gradebook.records import Given
from autograder.reports import class_page
from autograder.reports.class_times import throughput
from autograder.reports.marks import tabulate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'&\x1b[2J\u202egnp'
CELLS = {
    "01_vae_beta": {"reparameterize": 4, "kl_divergence": 4, "vae_loss": 5, "explain_beta": 5},
    "02_latent_dim": {"kl_per_dimension": 3, "active_units": 3},
    "03_ddpm_ddim": {"add_noise": 4, "ddpm_step": 5, "ddim_step": 8, "explain_ddim": 4},
}
PROPERTIES = ("on given numbers", "shapes and gradients", "the last step", "other schedules")
HINTS = (
    "the old noise makes no room: its scale is sqrt(1 - abar_prev - sigma^2)",
    "the noise is not scaled; multiply it by sigma",
    "it raises RuntimeError: The size of tensor a (4) must match the size of tensor b (3)",
)


def cell(name: str, most: float, skill: float, rng: random.Random, blank: bool) -> dict:
    if name.startswith("explain"):
        state = "blank" if blank else "by hand"
        points = 0.0 if blank else None
        return {"grade_id": name, "max": most, "points": points, "state": state, "checks": [],
                "lines": []}  # fmt: skip
    checks = []
    for place, text in enumerate(PROPERTIES):
        passed = not blank and rng.random() < skill ** (1 + place / 2)
        hint = "" if passed else "fill in this cell" if blank else rng.choice(HINTS)
        checks.append({"property": text, "points": most / 4, "passed": passed, "hint": hint,
                       "seconds": 0.01})  # fmt: skip
    points = sum(check["points"] for check in checks if check["passed"])
    return {"grade_id": f"test_{name}", "max": most, "points": points, "state": "judged",
            "checks": checks, "lines": []}  # fmt: skip


def record(student: str, notebook: str, time: float, rng: random.Random, skill: float) -> dict:
    blank = {name for name in CELLS[notebook] if rng.random() > skill + 0.3}
    cells = [cell(n, m, skill, rng, n in blank) for n, m in CELLS[notebook].items()]
    seconds = {"cells": rng.uniform(0.1, 0.5), "checks": rng.uniform(0.05, 0.3), "sandbox": 0.02}
    verdict = {"cells": cells, "blank": sorted(blank), "notes": [], "restarts": 0}
    verdict["seconds"] = seconds | {"total": sum(seconds.values())}
    return {"key": f"{student}{notebook}", "student": student, "assignment": "project3",
            "notebook": notebook, "submission": "0" * 64, "received": None, "time": time,
            "state": "graded", "verdict": verdict}  # fmt: skip


RELEASED = {
    (book, name if name.startswith("explain") else f"test_{name}"): float(most)
    for book, cells in CELLS.items()
    for name, most in cells.items()
}


def render(records: list[dict], assignment: str, answers: dict | None = None) -> str:
    return class_page.render(tabulate(records, RELEASED), assignment, answers)


@pytest.fixture(scope="module")
def records() -> list[dict]:
    """A class of 32 with one of everything that goes wrong."""
    rng, found = random.Random(1), []
    for number in range(32):
        name, skill = f"student-{number:02d}", min(1.0, rng.betavariate(4, 1.3) + 0.1)
        found += [record(name, book, 1e9 + len(found) * 0.4, rng, skill) for book in CELLS]
    found[3]["verdict"]["notes"] = [{"kind": "tampering", "text": f"a given cell: {HOSTILE}"}]
    text = "the cell `ddim_step` is there 2 times: split or copied"
    found[5]["verdict"]["notes"] = [{"kind": "accident", "text": text}]
    found[8]["verdict"]["cells"][2]["checks"][0] |= {"passed": False, "hint": HOSTILE}
    found[9]["student"] = found[10]["student"] = found[11]["student"] = HOSTILE.replace("/", "|")
    reasons = {12: ("rejected", "it is no notebook (JSONDecodeError)"), 15: ("missing", "it was"),
               18: ("failed", "a worker ended (-9)")}  # fmt: skip
    for place, (state, reason) in reasons.items():
        del found[place]["verdict"]
        found[place] |= {"state": state, "reason": reason}
    del found[-1]  # not graded yet
    return found


@pytest.fixture(scope="module")
def answers(records) -> dict[str, dict[str, str]]:
    """Everybody writes the formula; two share an odd detour, one with other names."""
    plain = "def f(mu, logvar, noise):\n    return mu + (logvar / 2).exp() * noise\n"
    odd = "def f(a):\n" + "".join(
        f"    part{i} = [a[{i}] ** {i + 2} - {i * 3} for _ in range({i + 4})][::-1]\n"
        f"    while len(part{i}) > {i}:\n        part{i}.pop({i})\n"
        for i in range(9)
    )
    names = ("reparameterize", "cell0", "cell1", "cell2")
    found = {r["student"]: dict.fromkeys(names, plain) for r in records}
    for name, text in (("student-20", odd), ("student-21", odd.replace("part", "piece"))):
        found[name] |= {f"cell{i}": text.replace("range", f"call{i}") for i in range(3)}
    return found


def test_text_of_students_is_never_markup(records, answers):
    page = render(records, "project3", answers)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?http", page)
    assert " style=" not in page  # the policy allows the one style sheet only


def test_everything_that_needs_a_person_is_named(records, answers):
    page = render(records, "project3", answers)
    for words in (
        "it is no notebook (JSONDecodeError)",
        "a worker ended (-9)",
        "not graded yet",
        "split or copied",
        "the noise is not scaled",
        "written answers to mark in formgrader",
        "notebooks a minute",
    ):
        assert words in page, words
    assert "student-20" in page[page.index("Unusually similar answers") :][:3000]
    assert re.search(r"Not handed in.*?student-05", page, re.DOTALL)


def test_an_unknown_mark_is_shown_as_unknown(records):
    page = render([r for r in records if r["student"] == "student-04"], "project3")
    everyone = page[page.index("Every student") :]
    assert "?" in everyone
    assert "rejected" in everyone


def test_a_class_without_anything_graded_has_a_page():
    only = {"key": "k", "student": "a", "assignment": "p", "notebook": "01", "time": 1.0,
            "state": "rejected", "reason": "it is no notebook"}  # fmt: skip
    assert "it is no notebook" in render([only], "p")


def not_reached(record: dict) -> dict:
    """The same, but the run did not get to its last exercise."""
    *others, last = record["verdict"]["cells"]
    last = last | {"points": None, "state": "not reached", "checks": []}
    return record | {"verdict": record["verdict"] | {"cells": [*others, last]}}


def test_an_answer_of_one_student_that_is_not_judged_hides_no_exercise():
    rng = random.Random(3)
    some = [record(f"s{i}", "02_latent_dim", float(i), rng, 0.5) for i in range(8)]
    released = {key: most for key, most in RELEASED.items() if key[0] == "02_latent_dim"}
    whole, page = (
        class_page.render(tabulate([first, *some[1:]], released), "p")
        for first in (some[0], not_reached(some[0]))
    )
    for text in (whole, page):
        rows = text[text.index("The exercises") : text.index("The checks")]
        assert "active_units" in rows
    assert "unknown: 1." in page
    assert "unknown:" not in whole
    assert "7 totals" in page


def test_written_answers_count_once_most_of_them_are_marked():
    rng = random.Random(4)
    some = [record(f"s{i}", "03_ddpm_ddim", float(i), rng, 1.0) for i in range(8)]
    released = {key: most for key, most in RELEASED.items() if key[0] == "03_ddpm_ddim"}
    for marked, shown in ((0, False), (3, False), (5, True)):
        given = Given({(f"s{i}", "explain_ddim"): 2.0 for i in range(marked)})
        text = class_page.render(tabulate(some, released, given), "p")
        exercises = text[text.index("The exercises") : text.index("The checks")]
        assert ("explain_ddim" in exercises) is shown
        assert f"{marked if shown else 8} totals" in text


def test_throughput_leaves_out_the_time_between_runs():
    ends = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 90_000.0]
    assert throughput([{"time": t} for t in ends]).startswith("60 notebooks a minute")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with")
def test_in_a_browser_it_is_quiet_fits_a_phone_and_is_accessible(records, answers, tmp_path):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_text(render(records[:36], "project3", answers), encoding="utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        for width in (360, 1280):
            for scheme in ("light", "dark"):
                view = {"width": width, "height": 900}
                context = browser.new_context(viewport=view, color_scheme=scheme, bypass_csp=False)
                page, said = context.new_page(), []
                page.on("console", lambda message, said=said: said.append(message.text))
                page.on("pageerror", lambda error, said=said: said.append(str(error)))
                page.goto(path.as_uri())
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (width, scheme)
                assert said == []
                context.close()
                if (width, scheme) in ((360, "dark"), (1280, "light")):  # seconds each
                    assert _axe(browser, Axe(), path, view, scheme) == [], (width, scheme)
        browser.close()


def _axe(browser, axe, path, view, scheme) -> list[str]:
    """What axe finds; it runs a script, which the page's policy forbids unless bypassed."""
    context = browser.new_context(viewport=view, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    found = axe.run(page).response["violations"]
    context.close()
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found]
