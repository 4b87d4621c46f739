"""Check that an installation has everything that the course needs, and say what to do if not."""

import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from mnistdiff.course.notebooks import EXERCISES, course_notebooks, problems, read_notebook
from mnistdiff.data import cache_folder, load_mnist
from mnistdiff.errors import MnistdiffError
from mnistdiff.storage import PACKAGED, check_writable

PYTHON = (3, 11)
DISK_SPACE = 1 << 30  # bytes, for trained models and full MNIST
JUPYTER = ("ipykernel", "jupyter_client")
WEIGHTS = ("judge-v1", "unet-v1", "tiny-mnist-sd")  # if these are there, the package is complete


class Finding(NamedTuple):
    """The result of one check: its name, whether it passed, and what was found or what to do."""

    name: str
    ok: bool
    text: str


def diagnose(folder: Path | None = None) -> list[Finding]:
    """Run every check; the notebooks are those in `folder`, or else in . or ./notebooks."""
    checks: list[Callable[[], Finding]] = [_python, _packages, _torch, _jupyter, _weights]
    checks += [_data, _disk_space]
    return [*(check() for check in checks), *_notebooks(folder)]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, PYTHON))
    if sys.version_info >= PYTHON:
        return Finding("Python", True, f"{found} in {sys.prefix}")
    return Finding("Python", False, f"{found}; the course needs {wanted} or later: install it.")


def _packages() -> Finding:
    """Check the packages that the library's metadata requires."""
    try:
        requirements = metadata.requires("mnistdiff") or []
    except metadata.PackageNotFoundError:
        return Finding("packages", False, "mnistdiff is not installed: run `pip install -e .`.")
    wrong, count = [], 0
    for line in requirements:
        wanted = re.fullmatch(r"([\w.-]+)\s*(?:>=\s*([\d.]+))?", line)
        if wanted is None:  # it belongs to an extra or to another system
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
        return Finding("packages", False, f"missing or too old: run `pip install {quoted}`.")
    return Finding("packages", True, f"all {count} are installed")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def _torch() -> Finding:
    try:
        import torch

        on = f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "CPU"
        threads = torch.get_num_threads()
        torch.ones(8, 8).matmul(torch.ones(8, 8))
    except Exception as error:  # a broken installation fails in many ways
        message = " ".join(str(error).split())[:200]
        return Finding("torch", False, f"it does not work ({message}): install torch again.")
    return Finding(
        "torch", True, f"{torch.__version__} on {on}, {threads} threads; a CPU is enough"
    )


def _jupyter() -> Finding:
    from importlib.util import find_spec

    if missing := [name for name in JUPYTER if find_spec(name) is None]:
        text = f"{', '.join(missing)} not installed: run `pip install jupyter`."
        return Finding("Jupyter", False, text)
    return Finding("Jupyter", True, f"ipykernel {metadata.version('ipykernel')}")


def _weights() -> Finding:
    names = {path.stem for path in PACKAGED.rglob("*.safetensors")}
    if missing := [name for name in WEIGHTS if not any(n.startswith(name) for n in names)]:
        text = f"{', '.join(missing)} not in {PACKAGED}: install mnistdiff again."
        return Finding("models", False, text)
    return Finding("models", True, f"{len(names)} trained models come with the library")


def _data() -> Finding:
    try:
        digits = load_mnist("train", quiet=True)
    except MnistdiffError as error:
        return Finding("MNIST", False, str(error))
    if digits.source == "bundled":
        text = f"{len(digits.labels):,} bundled digits; `mnistdiff data download` gets all 60,000"
        return Finding("MNIST", True, text)
    return Finding("MNIST", True, f"full, {len(digits.labels):,} digits")


def _disk_space() -> Finding:
    folder = cache_folder()
    try:
        check_writable(folder / "probe")
        free = shutil.disk_usage(folder).free
    except (MnistdiffError, OSError) as error:
        text = f"{error} Trained models are kept there (MNISTDIFF_CACHE)."
        return Finding("disk space", False, text)
    text = f"{free / 1e9:.1f} GB free for trained models in {folder}"
    if free < DISK_SPACE:
        return Finding("disk space", False, f"{text}; make room for {DISK_SPACE / 1e9:.0f} GB.")
    return Finding("disk space", True, text)


def _notebooks(folder: Path | None) -> list[Finding]:
    """Check each notebook of the course, and list those that are not there."""
    folders = [folder] if folder else [Path(), Path("notebooks")]
    found = next((paths for place in folders if (paths := course_notebooks(place))), [])
    if not found:
        where = " or ".join(str(place.resolve()) for place in folders)
        text = f"none in {where}: run `mnistdiff doctor FOLDER` with their folder."
        return [Finding("notebooks", folder is None, text)]
    findings = []
    for path in found:
        try:
            wrong = problems(path, read_notebook(path))
        except MnistdiffError as error:
            wrong = [str(error)]
        findings.append(Finding(path.name, not wrong, " ".join(wrong) or "complete"))
    missing = [name for name in EXERCISES if not any(p.stem.startswith(name[:2]) for p in found)]
    if missing:
        text = f"not in {found[0].parent.resolve()}: {', '.join(missing)}"
        findings.append(Finding("notebooks", True, text))
    return findings


def render(result: dict) -> str:
    """Return one line per finding, and a summary."""
    findings = [Finding(**entry) for entry in result["findings"]]
    wide = max(len(finding.name) for finding in findings)
    lines = [f"{'ok' if f.ok else 'to do':<5}  {f.name:<{wide}}  {f.text}" for f in findings]
    todo = sum(not finding.ok for finding in findings)
    summary = f"{todo} to do, see above." if todo else "Everything is ready."
    return "\n".join([*lines, summary])
