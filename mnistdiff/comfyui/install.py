"""Putting the node pack where ComfyUI looks for it."""

from pathlib import Path

from mnistdiff.errors import MnistdiffError

LINK = "mnistdiff"


def install(comfyui: Path) -> Path:
    """Link this folder into `custom_nodes` of a ComfyUI; a second call changes nothing.

    Raises MnistdiffError when `comfyui` is no ComfyUI, when something else has the name, and
    when no link can be made.
    """
    nodes, pack = comfyui / "custom_nodes", Path(__file__).parent.resolve()
    if not (comfyui / "nodes.py").is_file() or not nodes.is_dir():
        raise MnistdiffError(
            f"{comfyui} is no ComfyUI: it has no nodes.py beside a folder custom_nodes. Give the "
            "folder that holds ComfyUI's main.py."
        )
    link = nodes / LINK
    if link.is_symlink() and link.resolve() == pack:
        return link
    if link.exists() or link.is_symlink():
        raise MnistdiffError(f"{link} exists and is not our link. Move it away and try again.")
    try:
        link.symlink_to(pack, target_is_directory=True)
    except OSError as error:
        raise MnistdiffError(
            f"{link} cannot be made ({error.strerror or error}). Copy {pack} to that name instead."
        ) from error
    return link
