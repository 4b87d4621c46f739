"""Compare a running ComfyUI with `run_workflow`, for book/results/comfyui.json.

python scripts/measure_comfyui.py http://127.0.0.1:8188
"""

import argparse
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnistdiff.comfyui import load_workflow, run_workflow
from mnistdiff.comfyui.graph import Graph, with_inputs
from mnistdiff.experiments.styles import stroke_width
from mnistdiff.metrics import load_judge, read_digits, wilson_interval
from mnistdiff.prompts import DIGIT_NAMES
from mnistdiff.results import save_result

RESULT = Path(__file__).parents[1] / "book" / "results" / "comfyui.json"
PER_DIGIT, STYLED = 100, 50  # images


def settings() -> dict[str, Graph]:
    """Return the workflows with which the two programs are compared."""
    basic, lora = load_workflow("basic"), load_workflow("lora")
    sampler = {
        "ddim, 50 steps, cfg 3": {},
        "ddim, 20 steps, cfg 1": {"steps": 20, "cfg": 1.0, "seed": 1},
        "ddim, 5 steps, cfg 8": {"steps": 5, "cfg": 8.0, "seed": 2},
        "ddim, scheduler ddim_uniform": {"scheduler": "ddim_uniform", "steps": 20},
        "ddim, denoise 0.5": {"denoise": 0.5},
        "euler, 20 steps": {"sampler_name": "euler", "steps": 20},
        "dpmpp_2m, 20 steps": {"sampler_name": "dpmpp_2m", "steps": 20},
    }
    found = {name: with_inputs(basic, "6", **inputs) for name, inputs in sampler.items()}
    found["negative prompt"] = with_inputs(basic, "4", text="one")
    found["batch of 16"] = with_inputs(basic, "5", batch_size=16)
    for strength in (0.0, 0.5, 1.0, -1.0):
        strengths = {"strength_model": strength, "strength_clip": strength}
        found[f"LoRA bold, strength {strength:g}"] = with_inputs(lora, "2", **strengths)
    return found


def difference(graph: Graph, server: str) -> dict[str, float]:
    """Return the mean and largest difference of the two programs' pixels, in grey levels."""
    gap = 255 * (run_workflow(graph, server=server) - run_workflow(graph)).abs()
    return {"mean": float(gap.mean()), "max": float(gap.max())}


def draw_digits(server: str) -> tuple[Tensor, Tensor]:
    """Draw PER_DIGIT of each digit with the basic workflow; return images and labels."""
    basic, images = with_inputs(load_workflow("basic"), "5", batch_size=PER_DIGIT), []
    for digit, name in enumerate(DIGIT_NAMES):
        graph = with_inputs(basic, "3", text=f"a handwritten {name}")
        images.append(run_workflow(with_inputs(graph, "6", seed=digit), server=server))
    return torch.cat(images), torch.arange(10).repeat_interleave(PER_DIGIT)


def loras(server: str) -> dict[str, Any]:
    """Compare strength 0 with the basic workflow, and measure the stroke width at strength 1."""
    plain = with_inputs(load_workflow("basic"), "5", batch_size=STYLED)
    bold = with_inputs(load_workflow("lora"), "5", batch_size=STYLED)
    off = with_inputs(bold, "2", strength_model=0.0, strength_clip=0.0)
    before, after, without = (run_workflow(g, server=server) for g in (plain, bold, off))
    return {
        "identical_at_strength_0": torch.equal(before, without),
        "stroke_width": float(stroke_width(before).mean()),
        "stroke_width_bold": float(stroke_width(after).mean()),
        "n": STYLED,
    }


def measure(server: str) -> dict[str, Any]:
    """Return everything that the results page shows."""
    with urllib.request.urlopen(f"{server}/system_stats") as answer:
        system = json.loads(answer.read())["system"]
    started = time.monotonic()
    images, labels = draw_digits(server)
    seconds = time.monotonic() - started
    right = read_digits(images).digits == labels
    return {
        "n": len(labels),
        "seeds": list(range(10)),
        "judge": load_judge().version,
        "accuracy": float(right.float().mean()),
        "accuracy_interval": wilson_interval(int(right.sum()), len(right)),
        "per_digit": [float(right[labels == digit].float().mean()) for digit in range(10)],
        "seconds": seconds,
        "comfyui": system["comfyui_version"],
        "comfyui_torch": system["pytorch_version"],
        "lora": loras(server),
        "differences": {name: difference(graph, server) for name, graph in settings().items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="address of a running ComfyUI with the node pack")
    save_result(RESULT, measure(parser.parse_args().server.rstrip("/")))
    print(RESULT)


if __name__ == "__main__":
    main()
