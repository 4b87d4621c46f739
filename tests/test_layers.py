"""The architecture's arrows point down only (DESIGN: mnistdiff: modules, names, arrows)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module may import from strictly lower layers, and the names listed beside its own.
LAYERS = [
    {"errors", "memory"},
    {"weights", "report", "expect", "muon", "prompts"},
    {"layers", "data", "pictures", "styles", "cells", "notebooks"},
    {"schedules", "guidance", "doctor", "self_check"},
    {"samplers", "vae", "unet", "latent", "clip", "lora"},
    {"training", "metrics", "objectives"},
    {"judge", "plotting", "pipeline"},
    {"experiments", "export", "comfyui"},
    {"diffusion"},
    {"text_to_image"},
    {"evaluation", "diffusion_plots", "clip_plots", "workflow_plots", "release"},
    {"text_evaluation", "ladder"},
    {"commands", "text_plots"},
    {"cli"},
]
# figures of a run draw its samples with the same functions that measured them, imported late
SIDEWAYS = {("plotting", "experiments")}


def imports(path: Path, package: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            if node.module == package:  # from package import module
                found |= {f"{package}.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == package}
    return found


def layer_of(name: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def module_of(path: Path) -> str:
    """The name below mnistdiff: of a file, or of the package that it is in."""
    return path.relative_to(ROOT / "mnistdiff").with_suffix("").parts[0]


@pytest.mark.parametrize(
    "path",
    [p for p in sorted((ROOT / "mnistdiff").rglob("*.py")) if module_of(p) != "__init__"],
    ids=lambda p: p.stem,
)
def test_module_imports_only_lower_layers(path):
    name = module_of(path)
    for module in imports(path, "mnistdiff"):
        target = module.split(".")[1]
        if target != name and (name, target) not in SIDEWAYS:
            assert layer_of(target) < layer_of(name), f"{name} imports {target}"


def test_library_never_imports_the_autograder():
    for path in (ROOT / "mnistdiff").rglob("*.py"):
        assert not imports(path, "autograder"), path


def test_import_loads_neither_torchvision_nor_matplotlib():
    code = (
        "import sys, mnistdiff; "
        "print([m for m in ('torchvision', 'matplotlib', 'mlxtend') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
