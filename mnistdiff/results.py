"""Result files: numbers with the commit and the hardware that produced them."""

import json
import math
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from mnistdiff.runtime import default_device
from mnistdiff.storage import write_atomically


def save_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result as JSON with its commit and hardware, for the book's tables."""
    text = json.dumps(result | provenance(), indent=1, sort_keys=True) + "\n"
    write_atomically(path, text.encode())


def replace_nonfinite(value: Any) -> Any:
    """Replace infinity and NaN by None, since JSON has neither."""
    if isinstance(value, dict):
        return {name: replace_nonfinite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_nonfinite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def provenance() -> dict[str, str]:
    """Return the commit (if the package is in a git checkout), hardware and torch version."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "not a checkout"
    device = default_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    hardware = f"{device.type} {name}, {torch.get_num_threads()} threads"
    return {"commit": commit, "hardware": hardware, "torch": torch.__version__}
