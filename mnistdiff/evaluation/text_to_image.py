"""Evaluation of text to image: accuracy, quality and diversity; also of CLIP and the LoRAs."""

import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mnistdiff.clip import CLIP
from mnistdiff.data import load_mnist
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation.measure import measure
from mnistdiff.evaluation.protocol import check_images_file, save_images, summarise
from mnistdiff.experiments import zero_shot
from mnistdiff.experiments.styles import MEASURES
from mnistdiff.guidance import EVERYWHERE
from mnistdiff.metrics import load_judge, read_digits, to_8_bits, wilson_interval
from mnistdiff.pipeline import (
    GUIDANCE_SCALE,
    GUIDANCE_SPAN,
    NUM_INFERENCE_STEPS,
    TextToImagePipeline,
)
from mnistdiff.prompts import DIGIT_NAMES, HELD_OUT_TEMPLATES, TEMPLATES
from mnistdiff.results import provenance

GUIDANCE_SCALES = (1.0, 1.5, 2.0, 3.0, 5.0)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a LoRA


def prompts_and_labels(n: int) -> tuple[list[str], Int[Tensor, " n"]]:
    """Return n prompts and their digits: equal shares of digits, all templates in turn."""
    templates = (*TEMPLATES, *HELD_OUT_TEMPLATES)
    combinations = [
        (t, d, name)
        for t in templates
        for name in (str, DIGIT_NAMES.__getitem__)
        for d in range(10)
    ]
    rows = list(islice(cycle(combinations), n))
    return [t.format(name(d)) for t, d, name in rows], torch.tensor([d for _, d, _ in rows])


def evaluate_tiny_sd(
    pipeline: TextToImagePipeline,
    *,
    n: int = 10_000,
    seeds: Sequence[int] = (0, 1, 2),
    sampler: str = "ddim",
    num_inference_steps: int = NUM_INFERENCE_STEPS,
    guidance_scale: float = GUIDANCE_SCALE,
    guidance_span: tuple[float, float] = GUIDANCE_SPAN,
    frontier: bool = True,
    save: Path | None = None,
) -> dict[str, Any]:
    """Return all measures on the same samples; with `frontier` also for GUIDANCE_SCALES, one seed.

    The frontier is guided at every step. Label accuracy (Wilson interval) and `per_digit` pool all
    images; the other intervals are Student's, over seeds. `save` stores the first seed's images
    with the requested digits. Raises MnistdiffError if n is not a multiple of 10, there are no
    seeds, or the file is not writable.
    """
    _check_n(n)
    if not seeds:
        raise MnistdiffError("there are 0 seeds; at least 1 is needed.")
    if save is not None:
        check_images_file(save)
    options = {"sampler": sampler, "num_inference_steps": num_inference_steps}
    result = {
        **options,
        "guidance_scale": guidance_scale,
        "guidance_span": list(guidance_span),
        "seeds": list(seeds),
        "judge": load_judge().version,
        **_evaluate_at(
            pipeline, n, seeds, guidance_scale, options | {"guidance_span": guidance_span}, save
        ),
        "held_out_phrasings": len(HELD_OUT_TEMPLATES) / len((*TEMPLATES, *HELD_OUT_TEMPLATES)),
        "memorised_against": {"source": load_mnist("train", quiet=True).source},
        "data": pipeline.trained_on,
        **provenance(),
    }
    if frontier:
        options["guidance_span"] = EVERYWHERE
        result["guidance"] = [
            {"guidance_scale": s, **_evaluate_at(pipeline, n, seeds[:1], s, options)}
            for s in GUIDANCE_SCALES
        ]
    return result


def _check_n(n: int) -> None:
    if n < 10 or n % 10:
        raise MnistdiffError(
            f"n is {n}; it must be a multiple of 10, an equal share for each digit."
        )


def _evaluate_at(
    pipeline: TextToImagePipeline,
    n: int,
    seeds: Sequence[int],
    guidance_scale: float,
    options: dict[str, Any],
    save: Path | None = None,
) -> dict[str, Any]:
    prompts, labels = prompts_and_labels(n)
    rows, correct, seconds = [], torch.zeros(10), 0.0
    for seed in seeds:
        started = time.perf_counter()
        images = draw(pipeline, prompts, guidance_scale, seed, options)
        seconds += time.perf_counter() - started
        read = read_digits(images).digits
        correct += torch.bincount(labels[read == labels], minlength=10)
        rows.append(measure(images))
        if save is not None and seed == seeds[0]:
            save_images(save, images, labels)
    drawn, confident = n * len(rows), sum(row.pop("confident") for row in rows)
    per_digit = correct / (drawn / 10)
    return {
        **summarise(rows),
        "accuracy": float(correct.sum()) / drawn,
        "accuracy_interval": wilson_interval(int(correct.sum()), drawn),
        "per_digit": per_digit.tolist(),
        "worst_digit": int(per_digit.argmin()),
        "confident_share": confident / drawn,
        "confident_interval": wilson_interval(confident, drawn),
        "seconds": seconds,
        "seconds_per_image": seconds / drawn,
    }


def draw(
    pipeline: TextToImagePipeline,
    prompts: list[str],
    guidance_scale: float,
    seed: int,
    options: dict[str, Any],
) -> Float[Tensor, "n 1 28 28"]:
    """Draw one image per prompt, from one seed."""
    generator = torch.Generator().manual_seed(seed)
    return pipeline(prompts, guidance_scale=guidance_scale, generator=generator, **options).images


def evaluate_loras(
    *, n: int = 2_000, seed: int = 0, strengths: Sequence[float] = STRENGTHS
) -> dict[str, Any]:
    """Measure the style and the label accuracy of each shipped LoRA at several strengths.

    All strengths use the same noise and prompts. Raises MnistdiffError if n is not a multiple
    of 10.
    """
    _check_n(n)
    prompts, labels = prompts_and_labels(n)
    result: dict[str, Any] = {"n": n, "seed": seed, "judge": load_judge().version}
    for style, measured in MEASURES.items():
        rows = []
        for strength in strengths:
            pipeline = TextToImagePipeline.from_pretrained()
            if strength:
                pipeline.load_lora_weights(style, strength)
            images = draw(pipeline, prompts, GUIDANCE_SCALE, seed, {})
            values = measured(to_8_bits(images))
            right = int((read_digits(images).digits == labels).sum())
            rows.append(
                {
                    "strength": strength,
                    "measure": float(values.mean()),
                    "measure_error": float(values.std() / n**0.5),
                    "accuracy": right / n,
                    "accuracy_interval": wilson_interval(right, n),
                }
            )
        result[style] = {"measure": measured.__name__, "strengths": rows}
    return result | provenance()


def evaluate_clip(clip: CLIP, data: str = "mnist") -> dict[str, Any]:
    """Return the zero-shot accuracy on test digits, with prompts that were not used in training."""
    test = load_mnist("test", quiet=True)
    accuracy = zero_shot(clip, test)
    right, n = round(accuracy * len(test.labels)), len(test.labels)
    return {
        "n": n,
        "accuracy": accuracy,
        "accuracy_interval": wilson_interval(right, n),
        "templates": list(HELD_OUT_TEMPLATES),
        "logit_scale": float(clip.logit_scale.detach()),
        "test_data": test.source,
        "data": data,
        **provenance(),
    }
