"""Draw with every stock sampler and scheduler of a ComfyUI, for book/results/comfyui_samplers.json.

PYTHON_OF_COMFYUI scripts/measure_comfyui_samplers.py path/to/ComfyUI [--steps 20 50] [--cfg 3 1 8]

The nodes are ComfyUI's own; a batch has a prompt per picture. What is measured is kept: a second
call adds other settings.
"""

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnistdiff.metrics import load_judge, read_digits
from mnistdiff.pipeline import NAME, TextToImagePipeline
from mnistdiff.prompts import DIGIT_NAMES
from mnistdiff.results import save_result

RESULT = Path(__file__).parents[1] / "book" / "results" / "comfyui_samplers.json"
PER_DIGIT = 5  # images


class RealComfyUI:
    """The nodes of a ComfyUI folder, imported into this process and kept on the CPU."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        import comfy.cli_args  # pyright: ignore[reportMissingImports]

        comfy.cli_args.args.cpu = True
        import comfy.samplers  # pyright: ignore[reportMissingImports]
        import comfy.utils  # pyright: ignore[reportMissingImports]
        import comfyui_version  # pyright: ignore[reportMissingImports]
        import nodes  # pyright: ignore[reportMissingImports]

        from mnistdiff.comfyui.nodes import MnistdiffLoader

        comfy.utils.set_progress_bar_enabled(False)
        self.version = comfyui_version.__version__
        self.samplers, self.schedulers = (
            comfy.samplers.SAMPLER_NAMES,
            comfy.samplers.SCHEDULER_NAMES,
        )
        self.sample = nodes.common_ksampler  # what the node KSampler calls
        self.model, _, self.vae = MnistdiffLoader().load(NAME)
        pipeline = TextToImagePipeline.from_pretrained()
        self.labels = torch.arange(10).repeat_interleave(PER_DIGIT)
        prompts = [f"a handwritten {DIGIT_NAMES[digit]}" for digit in self.labels]
        self.positive, self.negative = (
            [[found[:, None], {"pooled_output": found}]]
            for found in (pipeline.encode_prompts(prompts), pipeline.encode_prompts([""]))
        )

    @torch.inference_mode()
    def draw(self, sampler: str, scheduler: str, steps: int, cfg: float) -> Tensor:
        """Return the decoded batch, grey."""
        latent = {"samples": torch.zeros(len(self.labels), 16, 2, 2)}
        texts = self.positive, self.negative
        drawn = self.sample(self.model, 0, steps, cfg, sampler, scheduler, *texts, latent)
        return self.vae.decode(drawn[0]["samples"]).mean(dim=-1)[:, None]

    def count_right(self, sampler: str, scheduler: str, steps: int, cfg: float) -> int:
        """Return how many of the digits the judge reads as asked; broken pictures are wrong."""
        images = self.draw(sampler, scheduler, steps, cfg)
        whole = images.isfinite().flatten(1).all(dim=1)
        digits = read_digits(images.nan_to_num().clamp(0, 1)).digits
        return int((whole & (digits == self.labels)).sum())


def measure(comfyui: RealComfyUI, steps: int, cfg: float) -> dict[str, dict[str, int]]:
    """Return the number of right digits by sampler and scheduler."""
    return {
        sampler: {
            scheduler: comfyui.count_right(sampler, scheduler, steps, cfg)
            for scheduler in comfyui.schedulers
        }
        for sampler in comfyui.samplers
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comfyui", type=Path, help="the folder that holds ComfyUI's main.py")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--cfg", type=float, nargs="+", default=[3.0, 1.0, 8.0])
    options = parser.parse_args()
    comfyui = RealComfyUI(options.comfyui.resolve())
    logging.disable(logging.INFO)
    old: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    right = old.get("right", {})
    for steps in options.steps:
        for cfg in options.cfg:
            started = time.monotonic()
            right[f"{steps} steps, cfg {cfg:g}"] = measure(comfyui, steps, cfg)
            save_result(
                RESULT,
                {
                    "n": len(comfyui.labels),
                    "judge": load_judge().version,
                    "comfyui": comfyui.version,
                    "right": right,
                },
            )
            print(f"{steps} steps, cfg {cfg:g}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
