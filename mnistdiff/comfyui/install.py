"""Installation of the node pack in ComfyUI."""

import shutil
import tomllib
from pathlib import Path

from mnistdiff.errors import MnistdiffError

PACK = Path(__file__).parent.resolve()
# ComfyUI before 0.3.28 imports a pack under the name of its folder: this one must differ from that
# of the library, which it would hide. It is also the name in the pack's pyproject.toml.
NAME = "mnistdiff-nodes"
FORMER_NAME = "mnistdiff"


def install(comfyui: Path) -> Path:
    """Link the pack into `custom_nodes` of a ComfyUI, or copy it there, and return its place.

    A link or a copy of an earlier installation is replaced. Raises MnistdiffError if `comfyui` is
    not a ComfyUI folder, if the name is taken, or if the folder cannot be written.
    """
    place = _custom_nodes(comfyui) / NAME
    if (
        place.is_symlink()
        and place.resolve() == PACK
        and not _is_ours(place.with_name(FORMER_NAME))
    ):
        return place
    if not _is_ours(place) and (place.exists() or place.is_symlink()):
        raise MnistdiffError(f"{place} exists and is not our node pack. Move it and try again.")
    uninstall(comfyui)
    try:
        place.symlink_to(PACK, target_is_directory=True)
    except OSError:  # Windows lets only some users make links
        _copy(place)
    return place


def uninstall(comfyui: Path) -> list[Path]:
    """Remove the pack's links and copies from `custom_nodes` of a ComfyUI, and return their places.

    Raises MnistdiffError if `comfyui` is not a ComfyUI folder, or if a copy holds
    other files, or if one cannot be removed.
    """
    nodes = _custom_nodes(comfyui)
    found = [place for name in (NAME, FORMER_NAME) if _is_ours(place := nodes / name)]
    for place in found:
        _refuse_changed(place)
        try:
            place.unlink() if place.is_symlink() else shutil.rmtree(place)
        except OSError as error:
            raise MnistdiffError(
                f"{place} cannot be removed ({error.strerror or error}). Close ComfyUI and remove "
                "it by hand."
            ) from error
    return found


def _custom_nodes(comfyui: Path) -> Path:
    nodes = comfyui / "custom_nodes"
    if not (comfyui / "nodes.py").is_file() or not nodes.is_dir():
        raise MnistdiffError(
            f"{comfyui} is not a ComfyUI folder: it has no nodes.py beside a folder custom_nodes. "
            "Give the folder that holds ComfyUI's main.py."
        )
    return nodes


def _is_ours(place: Path) -> bool:
    """Return whether this is a link to the pack of any clone, also a moved one, or a copy of it."""
    if place.is_symlink():
        return place.readlink().parts[-2:] == PACK.parts[-2:]
    try:
        settings = tomllib.loads((place / "pyproject.toml").read_text())
    except (OSError, ValueError):
        return False
    project = settings.get("project")
    return isinstance(project, dict) and project.get("name") == NAME


def _refuse_changed(place: Path) -> None:
    """Raise MnistdiffError if a copy of the pack holds files of the user."""
    if place.is_symlink():
        return
    own = [p for p in place.rglob("*") if "__pycache__" not in p.parts and p.is_file()]
    foreign = [p for p in own if not (PACK / p.relative_to(place)).is_file()]
    if foreign:
        raise MnistdiffError(
            f"{place} is a copy of the node pack that holds other files, such as "
            f"{foreign[0].relative_to(place)}. Move them away and try again."
        )


def _copy(place: Path) -> None:
    try:
        shutil.copytree(PACK, place, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise MnistdiffError(
            f"{place} cannot be written ({error.strerror or error}). Fix the permissions of "
            f"{place.parent} and try again."
        ) from error
