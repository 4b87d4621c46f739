"""tiny-mnist-sd in ComfyUI with its stock nodes, and ComfyUI's graphs without ComfyUI.

This folder is the node pack; `mnistdiff comfyui install PATH` links it into `custom_nodes`.
"""

try:
    from mnistdiff.comfyui.files import load_workflow
    from mnistdiff.comfyui.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
    from mnistdiff.comfyui.workflow import run_workflow
except ModuleNotFoundError as error:  # ComfyUI may run in another Python
    import sys
    from pathlib import Path

    from .source import find_source

    if __name__ == "mnistdiff":  # in ComfyUI before 0.3.28, the folder's name hides the library
        raise ModuleNotFoundError(
            f"{error}. Rename the folder {Path(__file__).parent} to mnistdiff-nodes."
        ) from error
    raise ModuleNotFoundError(
        f"{error}. Install the library mnistdiff for the Python that runs ComfyUI, and start "
        f"ComfyUI again: {sys.executable} -m pip install "
        f'"{find_source(Path(__file__).resolve().parent)}"'
    ) from error

WEB_DIRECTORY = "./web"  # the help page of the node

__all__ = [
    "NODE_CLASS_MAPPINGS",
    "NODE_DISPLAY_NAME_MAPPINGS",
    "WEB_DIRECTORY",
    "load_workflow",
    "run_workflow",
]
