"""tiny-mnist-sd in ComfyUI with its stock nodes, and ComfyUI's graphs without ComfyUI.

This folder is the node pack: `mnistdiff comfyui install PATH` links it into `custom_nodes`.
"""

from mnistdiff.comfyui.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from mnistdiff.comfyui.workflow import load_workflow, run_workflow

__all__ = [
    "NODE_CLASS_MAPPINGS",
    "NODE_DISPLAY_NAME_MAPPINGS",
    "load_workflow",
    "run_workflow",
]
