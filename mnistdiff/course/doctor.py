"""Is everything here that the course needs? Each finding in words, with what to do about it."""

import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from mnistdiff.data import cache_folder, load_mnist
from mnistdiff.errors import MnistdiffError
from mnistdiff.course.notebooks import EXERCISES, course_notebooks, problems, read_notebook
from mnistdiff.storage import PACKAGED, check_writable

PYTHON = (3, 11)
ROOM = 1 << 30  # bytes for trained models, and for full MNIST
JUPYTER = ("ipykernel", "jupyter_client")
WEIGHTS = ("judge-v1", "unet-v1", "tiny-mnist-sd")  # enough to see that the package is whole


class Finding(NamedTuple):
    """One thing looked at: whether it is well, and what was found or is to be done."""

    name: str
    ok: bool
    text: str


def diagnose(folder: Path | None = None) -> list[Finding]:
    """Look at everything; the notebooks are those in `folder`, or here, or in ./notebooks."""
    looks: list[Callable[[], Finding]] = [_python, _packages, _torch, _jupyter, _weights]
    looks += [_data, _room]
    return [*(look() for look in looks), *_notebooks(folder)]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, PYTHON))
    if sys.version_info >= PYTHON:
        return Finding("Python", True, f"{found} in {sys.prefix}")
    return Finding("Python", False, f"{found}; the course needs {wanted} or later: install it.")


def _packages() -> Finding:
    """What the library's own metadata asks for."""
    try:
        asked = metadata.requires("mnistdiff") or []
    except metadata.PackageNotFoundError:
        return Finding("packages", False, "mnistdiff is not installed: `pip install -e .` does it.")
    wrong, count = [], 0
    for line in asked:
        wanted = re.fullmatch(r"([\w.-]+)\s*(?:>=\s*([\d.]+))?", line)
        if wanted is None:  # of an extra, or of another system
            continue
        count += 1
        try:
            found = metadata.version(wanted[1])
        except metadata.PackageNotFoundError:
            wrong.append(line)
            continue
        if wanted[2] and _numbers(found) < _numbers(wanted[2]):
            wrong.append(line)
    if wrong:
        quoted = " ".join(f"'{line}'" for line in wrong)
        return Finding("packages", False, f"missing or too old: `pip install {quoted}`")
    return Finding("packages", True, f"all {count} are there")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def _torch() -> Finding:
    try:
        import torch

        on = f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "CPU"
        threads = torch.get_num_threads()
        torch.ones(8, 8) @ torch.ones(8, 8)
    except Exception as error:  # a broken installation fails in many ways
        said = " ".join(str(error).split())[:200]
        return Finding("torch", False, f"it does not work ({said}): install torch again.")
    return Finding(
        "torch", True, f"{torch.__version__} on {on}, {threads} threads; a CPU is enough"
    )


def _jupyter() -> Finding:
    from importlib.util import find_spec

    if lost := [name for name in JUPYTER if find_spec(name) is None]:
        return Finding(
            "Jupyter", False, f"{', '.join(lost)} not installed: `pip install jupyter` does it."
        )
    return Finding("Jupyter", True, f"ipykernel {metadata.version('ipykernel')}")


def _weights() -> Finding:
    names = {path.stem for path in PACKAGED.rglob("*.safetensors")}
    if lost := [name for name in WEIGHTS if not any(n.startswith(name) for n in names)]:
        text = f"{', '.join(lost)} not in {PACKAGED}: install mnistdiff again."
        return Finding("models", False, text)
    return Finding("models", True, f"{len(names)} trained models came with the library")


def _data() -> Finding:
    try:
        digits = load_mnist("train", quiet=True)
    except MnistdiffError as error:
        return Finding("MNIST", False, str(error))
    if digits.source == "bundled":
        text = f"{len(digits.labels):,} bundled digits; all 60,000 with `mnistdiff data download`"
        return Finding("MNIST", True, text)
    return Finding("MNIST", True, f"full, {len(digits.labels):,} digits")


def _room() -> Finding:
    folder = cache_folder()
    try:
        check_writable(folder / "probe")
        free = shutil.disk_usage(folder).free
    except (MnistdiffError, OSError) as error:
        return Finding("room", False, f"{error} Trained models are kept there (MNISTDIFF_CACHE).")
    text = f"{free / 1e9:.1f} GB free for trained models in {folder}"
    more = "" if free >= ROOM else f"; free some, {ROOM / 1e9:.0f} GB are needed"
    return Finding("room", not more, text + more)


def _notebooks(folder: Path | None) -> list[Finding]:
    """A finding per notebook of the course."""
    places = [folder] if folder else [Path(), Path("notebooks")]
    found = next((paths for place in places if (paths := course_notebooks(place))), [])
    if not found:
        where = " or ".join(str(place.resolve()) for place in places)
        return [Finding("notebooks", folder is None, f"none in {where}: name their folder")]
    findings = []
    for path in found:
        try:
            wrong = problems(path, read_notebook(path))
        except MnistdiffError as error:
            wrong = [str(error)]
        findings.append(Finding(path.name, not wrong, " ".join(wrong) or "whole"))
    lost = [name for name in EXERCISES if not any(p.stem.startswith(name[:2]) for p in found)]
    if lost:
        text = f"not in {found[0].parent.resolve()}: {', '.join(lost)}"
        findings.append(Finding("notebooks", True, text))
    return findings


def render(result: dict) -> str:
    """A line per finding, and the sum of it."""
    findings = [Finding(**entry) for entry in result["findings"]]
    wide = max(len(finding.name) for finding in findings)
    lines = [f"{'ok' if f.ok else 'to do':<5}  {f.name:<{wide}}  {f.text}" for f in findings]
    todo = sum(not finding.ok for finding in findings)
    last = "Everything is here." if not todo else f"{todo} to do, see above."
    return "\n".join([*lines, last])
