"""Installation of the node pack in ComfyUI."""

from pathlib import Path

from mnistdiff.errors import MnistdiffError

LINK = "mnistdiff"


def install(comfyui: Path) -> Path:
    """Link this folder into `custom_nodes` of a ComfyUI and return the link.

    A second call changes nothing. Raises MnistdiffError if `comfyui` is not a ComfyUI folder, if
    the name is taken, or if the link cannot be made.
    """
    nodes, pack = comfyui / "custom_nodes", Path(__file__).parent.resolve()
    if not (comfyui / "nodes.py").is_file() or not nodes.is_dir():
        raise MnistdiffError(
            f"{comfyui} is not a ComfyUI folder: it has no nodes.py beside a folder custom_nodes. "
            "Give the folder that holds ComfyUI's main.py."
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
            f"{link} cannot be made ({error.strerror or error}). Copy {pack} to {link} instead."
        ) from error
    return link
