"""The units: train one configuration with one seed (or load it), draw digits and measure them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mnistdiff.diffusion import (
    LatentModel,
    PixelModel,
    autoguided,
    generate,
    load_latent_model,
    load_pixel_model,
    pixel_model,
)
from mnistdiff.evaluation.curve import evaluations, fingerprint
from mnistdiff.evaluation.ladder import LADDER, decode, draw_rung, fit_rung, measure_rung
from mnistdiff.evaluation.measure import measure_with_share
from mnistdiff.evaluation.text_to_image import draw as draw_prompts
from mnistdiff.evaluation.text_to_image import evaluate_tiny_sd, prompts_and_labels
from mnistdiff.experiments import (
    SAMPLE_SEED,
    fit_clip,
    fit_eps_mlp,
    fit_latent,
    fit_tiny_sd,
    fit_unet,
    fit_vae,
    load_digits,
    prompt_bank,
    reconstruct,
    sample_prior,
)
from mnistdiff.metrics import label_accuracy, load_judge, read_digits, wilson_interval
from mnistdiff.pipeline import GUIDANCE_SCALE, TextToImagePipeline
from mnistdiff.reproduce.catalogue import Unit
from mnistdiff.reproduce.choices import measure_for_choice
from mnistdiff.storage import read_weights, save_weights

LARGEST_SET = 2_000  # digits of a figure: a thousand steps for each take hours otherwise
PART = 100  # digits that are drawn and stored together
PER_DIGIT = 8  # rows of Figure 7
CHOICE_SEED = 1_000  # settings are not chosen on the noise that the results are measured on
VARIANTS = {
    "raw": {"scaled": False, "ema": False},
    "scaled": {"scaled": True, "ema": False},
    "scaled, averaged": {"scaled": True, "ema": True},
}


@dataclass
class Outcome:
    """What a unit found: measures, the seconds of all its trainings, and digits for pictures."""

    measures: dict[str, Any]
    train_seconds: float = 0.0
    pictures: dict[str, Tensor] = field(default_factory=dict)  # (n, 1, 28, 28), in full rows
    columns: int = 6


def run_unit(unit: Unit, scratch: Path) -> Outcome:
    """Run a unit; `scratch` keeps digits that were drawn before an interruption."""
    return KINDS[unit.experiment.kind](unit, scratch)


def _vae(unit: Unit, scratch: Path) -> Outcome:
    c, profile = unit.configuration, unit.profile
    epochs = profile.vae.long_epochs if c.get("training") == "long" else None
    run = fit_vae(
        profile, beta=c["beta"], latent_dim=c["latent_dim"], epochs=epochs, seed=unit.seed
    )
    left_out = {*c, "seed", "profile", "data", "seconds", "loss_type"}
    measures = {name: value for name, value in run.row.items() if name not in left_out}
    if "training" in c:
        measures["total_per_epoch"] = [round(epoch["total"], 4) for epoch in run.history]
    test = load_digits(profile, quiet=True)[1]
    generator = torch.Generator().manual_seed(SAMPLE_SEED + unit.seed)
    pictures = {
        "reconstructions": reconstruct(run.model, test.images[: profile.gallery]),
        "samples": sample_prior(run.model, profile.gallery, generator),
    }
    return Outcome(measures, run.row["seconds"], pictures, math.isqrt(profile.gallery))


def _latent(unit: Unit, scratch: Path) -> Outcome:
    c, profile = unit.configuration, unit.profile
    if "variant" in c:
        run = fit_vae(profile, beta=c["beta"], latent_dim=c["latent_dim"], seed=unit.seed)
        name = f"eps-mlp-beta{c['beta']:g}-dim{c['latent_dim']}"  # as `fit_latent` names it
        model, fit = fit_eps_mlp(profile, run.model, name, **VARIANTS[c["variant"]], seed=unit.seed)
    else:
        model, run, fit = fit_latent(profile, c["beta"], c["latent_dim"], seed=unit.seed)
    steps = profile.pixel.ddpm_steps if c["sampler"] == "ddpm" else profile.curve_evaluations[-1]
    outcome = _draw_and_measure(unit, model, c["sampler"], steps, None, scratch)
    outcome.train_seconds = run.row["seconds"] + fit.seconds
    return outcome


def _pixel(unit: Unit, scratch: Path) -> Outcome:
    profile, sampler = unit.profile, unit.configuration["sampler"]
    network, fit = fit_unet(profile, unit.seed)
    steps = profile.pixel.ddpm_steps
    if sampler == "ddim":
        steps = min(unit.experiment.fixed["ddim_steps"], steps)
    outcome = _draw_and_measure(unit, pixel_model(network), sampler, steps, None, scratch)
    outcome.train_seconds = fit.seconds
    return outcome


def _latent_point(unit: Unit, scratch: Path) -> Outcome:
    return _point(unit, load_latent_model(), scratch)


def _pixel_point(unit: Unit, scratch: Path) -> Outcome:
    return _point(unit, load_pixel_model(), scratch)


def _point(unit: Unit, model: PixelModel | LatentModel, scratch: Path) -> Outcome:
    c = unit.configuration
    return _draw_and_measure(unit, model, c["sampler"], c["num_inference_steps"], c["eta"], scratch)


def _draw_and_measure(
    unit: Unit,
    model: PixelModel | LatentModel,
    sampler: str,
    steps: int,
    eta: float | None,
    scratch: Path,
) -> Outcome:
    n, gallery = min(unit.profile.samples, LARGEST_SET), unit.profile.gallery
    images, seconds = draw_in_parts(model, n, sampler, steps, eta, unit.seed, scratch)
    measures = {
        "num_inference_steps": steps,
        "evaluations": evaluations(sampler, steps),
        **measure_with_share(images),
        "seconds_per_image": seconds / n,
        "judge": load_judge().version,
    }
    return Outcome(measures, pictures={"samples": images[:gallery]}, columns=math.isqrt(gallery))


def draw_in_parts(
    model: PixelModel | LatentModel,
    n: int,
    sampler: str,
    steps: int,
    eta: float | None,
    seed: int,
    scratch: Path,
) -> tuple[Tensor, float]:
    """Draw n images, 100 from each part's own seed; return them with the seconds of drawing.

    Each part is stored in `scratch`, so that a kill loses one part at most.
    """
    parts, seconds = [], 0.0
    network = fingerprint(model.model)
    for index, start in enumerate(range(0, n, PART)):
        path = scratch / f"{network}-{index}.safetensors"
        if not path.exists():
            drawn = generate(
                model, min(PART, n - start), sampler, steps, eta, seed * 1_000_000 + index
            )
            save_weights(path, {"images": drawn.images}, {"seconds": drawn.seconds})
        tensors, meta = read_weights(path)
        parts.append(tensors["images"])
        seconds += meta["seconds"]
    return torch.cat(parts), seconds


def _text(unit: Unit, scratch: Path) -> Outcome:
    """Our text-to-image recipe."""
    run = fit_tiny_sd(unit.profile, unit.seed)
    n = unit.profile.samples // 10 * 10
    measures = evaluate_tiny_sd(run.pipeline, n=n, seeds=(0,), frontier=False)
    for name in (
        "seeds",
        "data",
        "commit",
        "hardware",
        "torch",
        "memorised_against",
        "worst_digit",
    ):
        measures.pop(name)
    prompts = prompts_and_labels(10 * PER_DIGIT)[0]
    images = draw_prompts(run.pipeline, prompts, GUIDANCE_SCALE, 0, {})
    seconds = run.fit.seconds + run.clip_fit.seconds + run.vae_row["seconds"]
    return Outcome(measures, seconds, {"samples": images}, columns=10)


def _report_text(unit: Unit, scratch: Path) -> Outcome:
    """The report's text-to-image recipe (Table 5), on the VAE of its Table 1."""
    profile, seed, fixed = unit.profile, unit.seed, unit.experiment.fixed
    clip, clip_fit = fit_clip(profile, seed)
    run = fit_vae(profile, seed=seed)
    network, factor, fit = fit_rung(
        LADDER[0],
        profile,
        run.model,
        prompt_bank(clip, seed),
        seed,
        learning_rate=fixed["learning_rate"],
        batch_size=fixed["batch_size"],
    )
    prompts, labels = prompts_and_labels(profile.samples // 10 * 10)
    steps = min(fixed["ddim_steps"], profile.curve_evaluations[-1])
    with torch.no_grad():
        cond = F.normalize(clip.encode_text(prompts), dim=1)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(len(labels), run.model.config.latent_dim, generator=generator)
        latents = draw_rung(LADDER[0], network, cond, noise, steps)
    images = decode(run.model, latents / factor)
    measures = _read_prompted(images, labels) | {"num_inference_steps": steps}
    seconds = run.row["seconds"] + clip_fit.seconds + fit.seconds
    return Outcome(measures, seconds, {"samples": _full_rows(images)}, columns=10)


def _rung(unit: Unit, scratch: Path) -> Outcome:
    rung = next(rung for rung in LADDER if rung.name == unit.configuration["rung"])
    clip = TextToImagePipeline.from_pretrained().clip
    row, images, fit = measure_rung(rung, unit.profile, clip, unit.seed)
    measures = row | {"judge": load_judge().version}
    confident = int(measures.pop("confident"))
    measures["confident_share"] = confident / len(images)
    return Outcome(measures, fit.seconds, {"samples": _full_rows(images)}, 10)


def _full_rows(images: Tensor) -> Tensor:
    """Return the first images, a column per digit."""
    return images[: min(10 * PER_DIGIT, len(images) // 10 * 10)]


def _read_prompted(images: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return the quality of prompted digits, and how many match their label, also per digit."""
    read = read_digits(images).digits
    right = read == labels
    per_digit = [float(right[labels == digit].float().mean()) for digit in range(10)]
    return {
        **measure_with_share(images),
        "accuracy": label_accuracy(read, labels),
        "accuracy_interval": wilson_interval(int(right.sum()), len(labels)),
        "per_digit": per_digit,
        "judge": load_judge().version,
    }


def _choice_guidance(unit: Unit, scratch: Path) -> Outcome:
    return _prompted(unit, unit.configuration, unit.experiment.fixed["num_inference_steps"])


def _choice_steps(unit: Unit, scratch: Path) -> Outcome:
    return _prompted(unit, unit.experiment.fixed, unit.configuration["num_inference_steps"])


def _prompted(unit: Unit, guidance: Mapping[str, Any], steps: int) -> Outcome:
    prompts, labels = prompts_and_labels(unit.profile.samples // 10 * 10)
    options = {"num_inference_steps": steps, "guidance_span": (guidance["low"], guidance["high"])}
    pipeline = TextToImagePipeline.from_pretrained()
    images = draw_prompts(pipeline, prompts, guidance["scale"], CHOICE_SEED + unit.seed, options)
    return Outcome(measure_for_choice(images, unit.profile, labels))


def _choice_autoguidance(unit: Unit, scratch: Path) -> Outcome:
    c, fixed, n = unit.configuration, unit.experiment.fixed, unit.profile.samples
    model, steps = load_latent_model(), fixed["latent_steps"]
    if c["space"] == "pixel":
        model, steps = load_pixel_model(), fixed["pixel_steps"]
        n = min(n, fixed["pixel_samples"])
    guided = autoguided(model, c["scale"], (c["low"], c["high"]))
    return _chosen_from(unit, guided, n, steps, scratch)


def _choice_vae(unit: Unit, scratch: Path) -> Outcome:
    model = load_latent_model(unit.configuration["beta"], unit.configuration["latent_dim"])
    steps = unit.experiment.fixed["num_inference_steps"]
    return _chosen_from(unit, model, unit.profile.samples, steps, scratch)


def _chosen_from(
    unit: Unit, model: PixelModel | LatentModel, n: int, steps: int, scratch: Path
) -> Outcome:
    seed = CHOICE_SEED + unit.seed
    images, _ = draw_in_parts(model, n, "ddim", steps, None, seed, scratch)
    return Outcome(measure_for_choice(images, unit.profile))


KINDS: dict[str, Callable[[Unit, Path], Outcome]] = {
    "vae": _vae,
    "latent": _latent,
    "pixel": _pixel,
    "latent_point": _latent_point,
    "pixel_point": _pixel_point,
    "text": _text,
    "report_text": _report_text,
    "rung": _rung,
    "choice_guidance": _choice_guidance,
    "choice_steps": _choice_steps,
    "choice_autoguidance": _choice_autoguidance,
    "choice_vae": _choice_vae,
}
