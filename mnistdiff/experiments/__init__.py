"""The training runs of the course: profiles, VAE, diffusion, text to image, and their tables."""

from mnistdiff.experiments.diffusion import (
    add_weak_copy,
    fit_eps_mlp,
    fit_latent,
    fit_unet,
    fit_weak_unet,
    pixel_training,
)
from mnistdiff.experiments.profiles import PROFILES, Profile, get_profile, load_digits
from mnistdiff.experiments.tables import compare_table, markdown_table, measured_table, percent
from mnistdiff.experiments.text_to_image import (
    TinySDRun,
    class_embeddings,
    fit_clip,
    fit_lora,
    fit_tiny_sd,
    model_card,
    prompt_bank,
    zero_shot,
)
from mnistdiff.experiments.vae import (
    BETAS,
    LATENT_DIMS,
    SAMPLE_SEED,
    VAERun,
    beta_sweep,
    fit_vae,
    latent_dim_sweep,
    measure_vae,
    reconstruct,
    sample_prior,
)

__all__ = [
    "BETAS",
    "LATENT_DIMS",
    "PROFILES",
    "SAMPLE_SEED",
    "Profile",
    "TinySDRun",
    "VAERun",
    "add_weak_copy",
    "beta_sweep",
    "class_embeddings",
    "compare_table",
    "fit_clip",
    "fit_eps_mlp",
    "fit_latent",
    "fit_lora",
    "fit_tiny_sd",
    "fit_unet",
    "fit_vae",
    "fit_weak_unet",
    "get_profile",
    "latent_dim_sweep",
    "load_digits",
    "markdown_table",
    "measure_vae",
    "measured_table",
    "model_card",
    "percent",
    "pixel_training",
    "prompt_bank",
    "reconstruct",
    "sample_prior",
    "zero_shot",
]
