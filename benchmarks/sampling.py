"""Sampling speed: our sampler compared with diffusers' scheduler loop, with equal images.

Both run the shipped networks for 50 deterministic DDIM steps from the same noise, in alternating
rounds; the images must agree. At batch 1,000 our latent sampler and the guided text-to-image
pipeline are compared with the network evaluations alone, the minimum for any sampler. On CPUs with
bfloat16 the U-Net is also timed in bfloat16, the default there, with the FD of both sides.

    python benchmarks/sampling.py [--rounds 7]
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from mnistdiff.data import to_unit
from mnistdiff.diffusion import LatentModel, PixelModel, load_latent_model, load_pixel_model
from mnistdiff.evaluation import measure
from mnistdiff.evaluation.text_to_image import prompts_and_labels
from mnistdiff.pipeline import CHUNK, TextToImagePipeline
from mnistdiff.runtime import autocast
from mnistdiff.samplers import inference_timesteps, sample_ddim

STEPS = 50
FD_IMAGES = 2_000


def ours(model: PixelModel | LatentModel, noise: Tensor) -> Tensor:
    return sample_ddim(
        model.model, model.schedule, noise.shape, num_inference_steps=STEPS, noise=noise
    )


@torch.no_grad()
def diffusers_loop(model: PixelModel | LatentModel, noise: Tensor) -> Tensor:
    """Sample as in diffusers' documentation, with the network's v prediction."""
    scheduler = DDIMScheduler(
        trained_betas=model.schedule.betas.tolist(),
        clip_sample=False,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(STEPS)
    x_t = noise
    for t in scheduler.timesteps:
        output = model.model.network(x_t, t.expand(len(x_t)))
        x_t = scheduler.step(output, t, x_t).prev_sample
    return x_t


@torch.no_grad()
def bare(model: LatentModel, noise: Tensor) -> Tensor:
    """Run the network evaluations alone."""
    timesteps = inference_timesteps(model.schedule.num_train_timesteps, STEPS)
    times = torch.tensor(timesteps)[:, None].expand(-1, len(noise)).unbind()
    for t in times:
        output = model.model.network(noise, t)
    return output


def guided(pipeline: TextToImagePipeline, prompts: list[str]) -> Tensor:
    """Draw images for prompts: text encoder, 50 guided steps, decoder."""
    generator = torch.Generator().manual_seed(0)
    return pipeline(prompts, num_inference_steps=STEPS, generator=generator).images


@torch.no_grad()
def bare_guided(pipeline: TextToImagePipeline, z_t: Tensor, cond: Tensor) -> Tensor:
    """Run the network evaluations of `guided` alone, both branches in one batch."""
    for t in inference_timesteps(pipeline.schedule.num_train_timesteps, STEPS):
        for part, part_cond in zip(z_t.split(CHUNK), cond.split(CHUNK), strict=True):
            both = torch.cat([part, part])
            eps = pipeline.model(both, torch.full((len(both),), t), part_cond.repeat(2, 1))
    return eps


def alternate(first: Callable, second: Callable, rounds: int, repeats: int) -> dict:
    """Return the median ratio of the seconds of `first` to `second`, with a bootstrap interval."""
    seconds = {first: [], second: []}
    for turn in range(rounds + 1):  # the first round warms up
        for function in (first, second) if turn % 2 else (second, first):
            started = time.perf_counter()
            for _ in range(repeats):
                function()
            seconds[function].append((time.perf_counter() - started) / repeats)
    ratios = [a / b for a, b in zip(seconds[first][1:], seconds[second][1:], strict=True)]
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(2000))
    return {
        "seconds": statistics.median(seconds[first][1:]),
        "peer_seconds": statistics.median(seconds[second][1:]),
        "ratio": statistics.median(ratios),
        "ratio_interval": (medians[50], medians[-51]),
    }


def compare(model: PixelModel | LatentModel, batch: int, rounds: int, repeats: int) -> dict:
    noise = torch.randn(batch, *model.shape, generator=torch.Generator().manual_seed(0))
    difference = float((ours(model, noise) - diffusers_loop(model, noise)).abs().max())
    row = alternate(
        lambda: ours(model, noise), lambda: diffusers_loop(model, noise), rounds, repeats
    )
    return row | {"batch": batch, "largest_difference": difference}


def compare_default_precision(model: PixelModel, rounds: int) -> dict:
    """Compare our bfloat16, the default on such CPUs, with diffusers' float32; also their FD."""
    noise = torch.randn(64, *model.shape, generator=torch.Generator().manual_seed(0))
    cpu = torch.device("cpu")

    def half() -> Tensor:
        with autocast(cpu):
            return ours(model, noise)

    row = alternate(half, lambda: diffusers_loop(model, noise), rounds, 1)
    many = torch.randn(FD_IMAGES, *model.shape, generator=torch.Generator().manual_seed(0))
    for name, context in (("fd", autocast(cpu)), ("peer_fd", nullcontext())):
        with context:
            drawn = torch.cat([ours(model, part) for part in many.split(CHUNK)])
        row[name] = measure(to_unit(drawn), memorised=False)["fd"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    pixel, latent = load_pixel_model(), load_latent_model()
    pipeline = TextToImagePipeline.from_pretrained()
    prompts, _ = prompts_and_labels(1_000)
    cond = pipeline.encode_prompts(prompts)
    z_t = torch.randn(1_000, pipeline.vae.config.latent_dim)
    many = torch.randn(1_000, *latent.shape, generator=torch.Generator().manual_seed(0))
    result = {
        "unet": compare(pixel, 64, rounds, 1),
        "latent_batch_1": compare(latent, 1, 20 * rounds, 1),
        "latent_batch_1000_beside_bare_evaluations": alternate(
            lambda: ours(latent, many), lambda: bare(latent, many), rounds, 1
        ),
        "guided_1000_beside_bare_evaluations": alternate(
            lambda: guided(pipeline, prompts), lambda: bare_guided(pipeline, z_t, cond), rounds, 1
        ),
        "steps": STEPS,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if not isinstance(autocast(torch.device("cpu")), nullcontext):
        result["unet_bfloat16"] = compare_default_precision(pixel, rounds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
