"""The architecture's arrows point down only, and no package takes a private name of another."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A room (a module, or a package with all that is in it) imports from strictly lower layers.
LAYERS = {
    "mnistdiff": [
        {"errors"},
        {"storage", "runtime", "layers", "prompts"},
        {"data", "schedules", "guidance", "results", "pictures", "lora"},
        {"samplers", "vae", "unet", "latent", "clip", "course"},
        {"training", "metrics", "diffusion", "pipeline"},
        {"experiments", "comfyui", "web"},
        {"evaluation", "plotting"},
        {"reproduce"},
        {"cli"},
    ],
    "autograder": [
        {"errors", "text", "csv_files", "fast_imports", "safe_html", "inside"},
        {"checks", "submissions", "sandbox"},
        {"gradebook"},
        {"grading", "reports"},
        {"cli"},
        {"rehearsal"},
    ],
}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def room_of(module: str) -> str:
    """The name below the package: of a module, or of the package that it is in."""
    return module.split(".")[1]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, package: str) -> set[tuple[str, str]]:
    """(module, name) of everything that a file imports from the package; name "" for a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:  # relative, as in autograder.inside
                inside = path.relative_to(ROOT).with_suffix("").parts
                parent = inside[: -node.level]
                module = ".".join([*parent, *([module] if module else [])])
            if module.split(".")[0] != package:
                continue
            for alias in node.names:
                inner = ROOT / module.replace(".", "/") / alias.name
                if inner.is_dir() or inner.with_suffix(".py").exists():
                    found.add((f"{module}.{alias.name}", ""))
                else:
                    found.add((module, alias.name))
        elif isinstance(node, ast.Import):
            found |= {(a.name, "") for a in node.names if a.name.split(".")[0] == package}
    return found


def rooms() -> list[tuple[str, Path]]:
    return [(package, path) for package in LAYERS for path in files(package)]


@pytest.mark.parametrize(
    ("package", "path"), rooms(), ids=[str(path.relative_to(ROOT)) for _, path in rooms()]
)
def test_imports_point_down_and_take_no_private_name(package, path):
    layer = {room: i for i, layer in enumerate(LAYERS[package]) for room in layer}
    here = module_of(path)
    if here == package:  # its __init__ hands names on, or stands on top
        return
    for module, name in imports(path, package):
        if module == package:
            continue
        target, own = room_of(module), room_of(here)
        if target != own:
            assert layer[target] < layer[own], f"{here} imports {module}: that is an arrow upwards"
            private = [part for part in [*module.split("."), name] if part.startswith("_")]
            assert not private, f"{here} imports the private name {private[0]} of {module}"


def test_packages_and_modules_named_behind_import_are_seen(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("from mnistdiff import plotting, vae, VAE\nfrom mnistdiff.vae import VAE\n")
    found = {("mnistdiff.plotting", ""), ("mnistdiff.vae", ""), ("mnistdiff", "VAE")}
    assert imports(path, "mnistdiff") == found | {("mnistdiff.vae", "VAE")}


@pytest.mark.parametrize("package", LAYERS)
def test_every_room_has_a_layer_and_every_layer_only_rooms(package):
    found = {room_of(module_of(path)) for path in files(package) if module_of(path) != package}
    named = [room for layer in LAYERS[package] for room in layer]
    assert sorted(named) == sorted(found)


def test_library_never_imports_the_autograder():
    for path in files("mnistdiff"):
        assert not imports(path, "autograder"), path


def test_import_loads_neither_torchvision_nor_matplotlib():
    code = (
        "import sys, mnistdiff; "
        "print([m for m in ('torchvision', 'matplotlib', 'mlxtend') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
