"""tiny-mnist-sd in ComfyUI with its stock nodes, and ComfyUI's graphs without ComfyUI.

This folder is the node pack; `mnistdiff comfyui install PATH` links it into `custom_nodes`.
"""

try:
    from mnistdiff.comfyui.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
    from mnistdiff.comfyui.workflow import load_workflow, run_workflow
except ModuleNotFoundError as error:  # ComfyUI may run in another Python
    import sys
    from pathlib import Path

    raise ModuleNotFoundError(
        f"{error}. Install this course for the Python that runs ComfyUI: {sys.executable} -m pip "
        f"install {Path(__file__).resolve().parents[2]}"
    ) from error

__all__ = [
    "NODE_CLASS_MAPPINGS",
    "NODE_DISPLAY_NAME_MAPPINGS",
    "load_workflow",
    "run_workflow",
]
