"""The text-to-image runs: CLIP, tiny-mnist-sd and its LoRAs, trained or loaded."""

from copy import deepcopy
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mnistdiff.clip import CLIP, CLIPConfig, zero_shot_accuracy
from mnistdiff.data import Digits
from mnistdiff.diffusion import PREDICTION_TYPE, default_schedule, encode_means
from mnistdiff.experiments.profiles import Profile, load_digits
from mnistdiff.experiments.styles import apply_style
from mnistdiff.experiments.vae import fit_vae
from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig, compute_scaling_factor
from mnistdiff.lora import inject_lora, lora_state_dict
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.prompts import HELD_OUT_TEMPLATES, prompts_for, random_prompt
from mnistdiff.runtime import default_device, seed_everything
from mnistdiff.training import ContrastiveLoss, Fit, TextToImageLoss, TrainConfig, fit_or_load

LEARNING_RATE = 2e-3  # of the noise predictor and the LoRAs, falling to 0
TINY_SD_VAE = (0.01, 64)  # beta and latent dimension: (16, 2, 2) for ComfyUI
LORA_RANK = 4
PROMPTS_PER_DIGIT = 64  # random phrasings for training the noise predictor


class TinySDRun(NamedTuple):
    """A trained pipeline, and the training records of its parts."""

    pipeline: TextToImagePipeline
    clip_fit: Fit
    vae_row: dict[str, Any]
    fit: Fit


def fit_clip(profile: Profile, seed: int = 0) -> tuple[CLIP, Fit]:
    """Train CLIP on the profile's digits, or load it from the cache."""
    train, _ = load_digits(profile, quiet=True)
    seed_everything(seed)
    model = CLIP(CLIPConfig()).to(default_device())
    config = TrainConfig(profile.text.clip_epochs, 128, 1e-3, seed=seed, cosine_decay=True)
    data = (train.images, train.labels)
    fit = fit_or_load("clip", model, ContrastiveLoss(), data, config, settings={})
    return model.cpu().eval(), fit


@torch.no_grad()
def class_embeddings(clip: CLIP, templates: tuple[str, ...]) -> Float[Tensor, "10 e"]:
    """Return the mean normalised prompt embedding per digit (Radford et al., 2021, 3.1.4)."""
    rows = [F.normalize(clip.encode_text(prompts_for(d, templates)), dim=1) for d in range(10)]
    return torch.stack([row.mean(dim=0) for row in rows])


@torch.no_grad()
def zero_shot(clip: CLIP, digits: Digits) -> float:
    """Return the zero-shot accuracy with prompts that were not used in training."""
    images = torch.cat([clip.encode_image(part) for part in digits.images.split(1_000)])
    return zero_shot_accuracy(images, class_embeddings(clip, HELD_OUT_TEMPLATES), digits.labels)


@torch.no_grad()
def prompt_bank(clip: CLIP, seed: int = 0) -> Float[Tensor, "10 p e"]:
    """Return normalised embeddings of random training prompts, equally many per digit."""
    generator = torch.Generator().manual_seed(seed)
    prompts = [random_prompt(d, generator) for d in range(10) for _ in range(PROMPTS_PER_DIGIT)]
    embeddings = F.normalize(clip.encode_text(prompts), dim=1)
    return embeddings.reshape(10, PROMPTS_PER_DIGIT, -1)


def fit_tiny_sd(profile: Profile, seed: int = 0) -> TinySDRun:
    """Train CLIP, VAE and the conditioned noise predictor, or load them from the cache."""
    clip, clip_fit = fit_clip(profile, seed)
    beta, latent_dim = TINY_SD_VAE
    vae_run = fit_vae(profile, beta=beta, latent_dim=latent_dim, seed=seed)
    train, _ = load_digits(profile, quiet=True)
    latents = encode_means(vae_run.model, train.images)
    factor = compute_scaling_factor(latents)
    seed_everything(seed)
    network = EpsMLPCond(EpsMLPCondConfig(latent_dim, profile.text.width)).to(default_device())
    loss = TextToImageLoss(default_schedule(), prompt_bank(clip, seed))
    config = TrainConfig(
        profile.text.epochs,
        profile.latent.batch_size,
        LEARNING_RATE,
        seed=seed,
        ema_decay=0.999,
        cosine_decay=True,
    )
    settings = {"schedule": "cosine", "prediction_type": PREDICTION_TYPE, "factor": factor}
    data = (latents * factor, train.labels)
    fit = fit_or_load("tiny-sd", network, loss, data, config, settings=settings)
    pipeline = TextToImagePipeline(
        clip, network.cpu(), vae_run.model, factor, trained_on=train.source
    )
    return TinySDRun(pipeline, clip_fit, vae_run.row, fit)


def model_card(run: TinySDRun, profile: Profile) -> dict[str, Any]:
    """Return how the weights were trained, for the file's header."""
    return {
        "profile": asdict(profile),
        "history": run.fit.history,
        "clip_history": run.clip_fit.history,
        "train_seconds": run.fit.seconds + run.clip_fit.seconds + run.vae_row["seconds"],
    }


def fit_lora(
    profile: Profile, pipeline: TextToImagePipeline, style: str, seed: int = 0
) -> tuple[dict[str, Tensor], Fit]:
    """Train LoRA adapters on styled digits; the pipeline's own network does not change.

    Returns the adapters' tensors and the training record. Raises MnistdiffError for an unknown
    style.
    """
    train, _ = load_digits(profile, quiet=True)
    latents = encode_means(pipeline.vae, apply_style(style, train.images))
    network = deepcopy(pipeline.eps_mlp)
    seed_everything(seed)
    inject_lora(network, LORA_RANK)
    loss = TextToImageLoss(pipeline.schedule, prompt_bank(pipeline.clip, seed))
    config = TrainConfig(
        profile.text.lora_epochs,
        profile.latent.batch_size,
        LEARNING_RATE,
        seed=seed,
        ema_decay=0.999,
        cosine_decay=True,
    )
    data = (latents * pipeline.scaling_factor, train.labels)
    fit = fit_or_load(f"lora-{style}", network, loss, data, config, settings={"style": style})
    return lora_state_dict(network), fit
