"""The diffusion models on pixels and on latents: loading the shipped ones, drawing digits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mnistdiff.data import to_unit
from mnistdiff.errors import MnistdiffError
from mnistdiff.guidance import GUIDED, Autoguided
from mnistdiff.latent import EpsMLP, EpsMLPConfig
from mnistdiff.runtime import autocast, check_seed, reuse_memory
from mnistdiff.samplers import as_eps, find_sampler, predictor
from mnistdiff.schedules import NoiseSchedule, cosine_beta_schedule
from mnistdiff.storage import PACKAGED, cache_and_copy, load_into, read_weights, with_prefix
from mnistdiff.unet import UNet, UNetConfig
from mnistdiff.vae import VAE, VAEConfig

BEST_VAE = (0.01, 50)  # beta and latent dimension; chosen with the second classifier
# width of each shipped noise predictor, by beta and latent dimension of its VAE
SHIPPED_LATENT = {(1.0, 50): 192, BEST_VAE: 320}
PREDICTION_TYPE = "v_prediction"
CHUNK = 500  # images sampled together: larger batches do not fit the processor's cache


@dataclass(frozen=True)
class PixelModel:
    """A noise predictor on images in [-1, 1], with the schedule that it was trained on."""

    model: nn.Module
    schedule: NoiseSchedule
    weak: nn.Module | None = None  # a briefly trained one, for `autoguided`
    shape: tuple[int, ...] = (1, 28, 28)

    def decode(self, x0: Float[Tensor, "b 1 28 28"]) -> Float[Tensor, "b 1 28 28"]:
        """Return images in [0, 1] from x0 in [-1, 1]."""
        return to_unit(x0)


@dataclass(frozen=True)
class LatentModel:
    """A noise predictor on scaled latents, and the VAE that decodes them."""

    model: nn.Module
    schedule: NoiseSchedule
    vae: VAE
    scaling_factor: float
    weak: nn.Module | None = None  # a briefly trained one, for `autoguided`

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one latent."""
        return (self.vae.config.latent_dim,)

    @torch.no_grad()
    def decode(self, x0: Float[Tensor, "b d"]) -> Float[Tensor, "b 1 28 28"]:
        """Return images in [0, 1] from scaled latents."""
        return self.vae.decode(x0 / self.scaling_factor)


class Samples(NamedTuple):
    """Images (N, 1, 28, 28) in [0, 1] and the seconds that drawing them took."""

    images: Float[Tensor, "n 1 28 28"]
    seconds: float


def generate(
    model: PixelModel | LatentModel,
    n: int,
    sampler: str = "ddim",
    num_inference_steps: int = 50,
    eta: float | None = None,
    seed: int = 0,
) -> Samples:
    """Draw n images; `eta` None keeps the sampler's own. Raises MnistdiffError for bad settings."""
    if not isinstance(n, Integral) or n < 1:
        raise MnistdiffError(f"n is {n!r}; it must be a whole number of images >= 1.")
    check_seed(seed)
    sample = find_sampler(sampler)
    reuse_memory()
    options = {"num_inference_steps": num_inference_steps} | ({} if eta is None else {"eta": eta})
    draw = partial(sample, model.model, model.schedule, **options)
    generator = torch.Generator().manual_seed(seed)
    started, images = time.perf_counter(), []
    for start in range(0, n, CHUNK):
        shape = (min(CHUNK, n - start), *model.shape)
        with autocast(torch.device("cpu")):
            x0 = draw(shape, generator=generator)
        images.append(model.decode(x0))
    return Samples(torch.cat(images), time.perf_counter() - started)


def autoguided(
    model: PixelModel | LatentModel, scale: float, span: tuple[float, float] = GUIDED
) -> PixelModel | LatentModel:
    """Return the model, pushed away from its weak copy by `scale`; 1 means no guidance.

    It is pushed at the timesteps low <= t < high of `span`. Raises MnistdiffError if scale is
    below 1, if span is not a pair, or if scale is not 1 and the model has no weak copy.
    """
    if scale == 1:
        return model
    if model.weak is None:
        raise MnistdiffError(
            f"autoguidance is {scale:g}, but this model has no weak copy to guide it; only "
            "the shipped U-Net and the best latent model have one. Leave it at 1."
        )
    (strong, predicted), (weak, by_weak) = predictor(model.model), predictor(model.weak)
    if predicted == by_weak == "v_prediction":  # guidance is linear: it acts on v as on eps
        guided = as_eps(Autoguided(strong, weak, scale, span), model.schedule)
    else:
        guided = Autoguided(model.model, model.weak, scale, span)
    return replace(model, model=guided)


def default_schedule() -> NoiseSchedule:
    """Return the schedule of the shipped models: 1000 steps, cosine."""
    return NoiseSchedule(cosine_beta_schedule(1000))


def pixel_model(
    network: UNet, schedule: NoiseSchedule | None = None, weak: UNet | None = None
) -> PixelModel:
    """Wrap a trained U-Net as a model that is ready to sample."""
    schedule = schedule or default_schedule()

    def ready(network: UNet) -> nn.Module:
        # channels last makes convolutions of few channels a fifth faster on a CPU
        return as_eps(network.eval().to(memory_format=torch.channels_last), schedule)

    return PixelModel(ready(network), schedule, ready(weak) if weak else None)


@torch.no_grad()
def encode_means(vae: VAE, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n d"]:
    """Return the posterior means of all images: the training data of latent diffusion."""
    return torch.cat([vae.encode(part)[0] for part in images.split(2_000)])


@cache_and_copy
def load_pixel_model() -> PixelModel:
    """Load the shipped U-Net, trained on full MNIST."""
    path = PACKAGED / "unet-v1.safetensors"
    tensors, meta = read_weights(path)
    network, weak = UNet(UNetConfig(**meta["config"])), UNet(UNetConfig(**meta["weak"]))
    _load_parts(tensors, {"unet.": network, "weak.": weak}, path)
    return pixel_model(network, weak=weak)


def _load_parts(tensors: dict[str, Tensor], parts: Mapping[str, nn.Module], path: Path) -> None:
    for prefix, part in parts.items():
        load_into(part, with_prefix(prefix, tensors), path)


def latent_name(beta: float, latent_dim: int) -> str:
    """Return the file name of a shipped latent model, without its ending."""
    return f"latent-beta{beta:g}-dim{latent_dim}-v1"


@cache_and_copy
def load_latent_model(beta: float = BEST_VAE[0], latent_dim: int = BEST_VAE[1]) -> LatentModel:
    """Load a shipped VAE and its noise predictor, trained on full MNIST; by default the best.

    Raises MnistdiffError if no shipped model has this beta and latent dimension.
    """
    if (beta, latent_dim) not in SHIPPED_LATENT:
        names = ", ".join(f"beta {b:g} with dimension {d}" for b, d in SHIPPED_LATENT)
        raise MnistdiffError(
            f"no model with beta {beta:g} and latent dimension {latent_dim} is shipped; these are: "
            f"{names}. Train one with --profile quick."
        )
    path = PACKAGED / f"{latent_name(beta, latent_dim)}.safetensors"
    tensors, meta = read_weights(path)
    vae, network = VAE(VAEConfig(**meta["vae"])), EpsMLP(EpsMLPConfig(**meta["eps_mlp"]))
    weak = EpsMLP(EpsMLPConfig(**meta["weak"])) if "weak" in meta else None
    parts = {"vae.": vae, "eps_mlp.": network} | ({"weak.": weak} if weak else {})
    _load_parts(tensors, parts, path)
    schedule = default_schedule()
    return LatentModel(
        as_eps(network.eval(), schedule),
        schedule,
        vae.eval(),
        meta["scaling_factor"],
        as_eps(weak.eval(), schedule) if weak else None,
    )
