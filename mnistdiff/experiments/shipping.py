"""Training and packing the diffusion models that ship with the package."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from mnistdiff.diffusion import BEST_VAE, PREDICTION_TYPE, SHIPPED_LATENT, LatentModel, latent_name
from mnistdiff.experiments.diffusion import add_weak_copy, fit_latent, fit_unet, fit_weak_unet
from mnistdiff.experiments.profiles import Profile
from mnistdiff.experiments.styles import STYLES
from mnistdiff.experiments.text_to_image import fit_lora, fit_tiny_sd, model_card
from mnistdiff.latent import EpsMLP
from mnistdiff.pipeline import NAME
from mnistdiff.results import provenance
from mnistdiff.storage import check_writable, save_weights
from mnistdiff.training import Fit
from mnistdiff.unet import UNet


def train_shipped(profile: Profile, folder: Path) -> dict[str, Any]:
    """Train all models that ship, smallest first; write each file at once, return the paths."""
    check_writable(folder / "unet-v1.safetensors")
    written = {}
    for (beta, latent_dim), width in SHIPPED_LATENT.items():
        model, _, fit = fit_latent(profile, beta, latent_dim, width=width)
        if (beta, latent_dim) == BEST_VAE:
            model = add_weak_copy(profile, model)
        path = folder / f"{latent_name(beta, latent_dim)}.safetensors"
        pack_latent(path, model, fit, profile)
        written[path.stem] = str(path)
    written |= train_tiny_sd(profile, folder)
    network, fit = fit_unet(profile)
    weak, _ = fit_weak_unet(profile)
    path = folder / "unet-v1.safetensors"
    pack_unet(path, network, weak, fit, profile)
    return written | {path.stem: str(path)}


def train_tiny_sd(profile: Profile, folder: Path) -> dict[str, str]:
    """Train and pack the text-to-image pipeline and one LoRA per style; return the paths."""
    run = fit_tiny_sd(profile)
    path = folder / f"{NAME}-v1.safetensors"
    save_weights(path, *run.pipeline.packed(model_card(run, profile) | provenance()))
    written = {path.stem: str(path)}
    for style in STYLES:
        adapters, fit = fit_lora(profile, run.pipeline, style)
        path = folder / "loras" / f"{style}-v1.safetensors"
        tensors = {name: value.half() for name, value in adapters.items()}
        save_weights(path, tensors, {"style": style} | _model_card(fit, profile))
        written[f"lora-{style}"] = str(path)
    return written


def pack_latent(path: Path, model: LatentModel, fit: Fit, profile: Profile) -> None:
    """Write VAE and noise predictor in half precision, with their configurations."""
    network = model.model.network
    assert isinstance(network, EpsMLP)
    tensors = _half_precision(model.vae, "vae.") | _half_precision(network, "eps_mlp.")
    configs = {"vae": asdict(model.vae.config), "eps_mlp": asdict(network.config)}
    if model.weak:
        weak = model.weak.network
        assert isinstance(weak, EpsMLP)
        tensors |= _half_precision(weak, "weak.")
        configs["weak"] = asdict(weak.config)
    save_weights(
        path,
        tensors,
        configs | {"scaling_factor": model.scaling_factor} | _model_card(fit, profile),
    )


def pack_unet(path: Path, network: UNet, weak: UNet, fit: Fit, profile: Profile) -> None:
    """Write a U-Net and its weak copy in half precision, with their configurations."""
    tensors = _half_precision(network, "unet.") | _half_precision(weak, "weak.")
    configs = {"config": asdict(network.config), "weak": asdict(weak.config)}
    save_weights(path, tensors, configs | _model_card(fit, profile))


def _half_precision(network: nn.Module, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{name}": value.half() for name, value in network.state_dict().items()}


def _model_card(fit: Fit, profile: Profile) -> dict[str, Any]:
    """Return the model card: how the weights were trained."""
    return {
        "prediction_type": PREDICTION_TYPE,
        "schedule": "cosine",
        "profile": asdict(profile),
        "history": fit.history,
        "train_seconds": fit.seconds,
        **provenance(),
    }
