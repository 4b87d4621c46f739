"""The ladder from the report's text-to-image recipe to ours: one measured change per rung.

All rungs share the digits, CLIP's prompt embeddings, DDPM's linear schedule, a network that
predicts the noise, Adam, and the number of epochs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mnistdiff.clip import CLIP
from mnistdiff.diffusion import encode_means
from mnistdiff.evaluation.measure import measure
from mnistdiff.experiments import Profile, fit_vae, load_digits, prompt_bank
from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig, compute_scaling_factor, drop_condition
from mnistdiff.layers import timestep_embedding
from mnistdiff.metrics import label_accuracy, load_judge, read_digits, student_interval
from mnistdiff.results import provenance
from mnistdiff.runtime import default_device, seed_everything
from mnistdiff.samplers import sample_ddim
from mnistdiff.schedules import NoiseSchedule, add_noise, linear_beta_schedule
from mnistdiff.training import Fit, TrainConfig, fit_or_load
from mnistdiff.vae import VAE

LATENT_DIM = 64
SEEDS = (0, 1, 2)
LAST_GUIDANCE_SCALE = 2.0  # of the last rung


@dataclass(frozen=True)
class Rung:
    """A text-to-image recipe; `name` says what it changes from the rung before."""

    name: str
    scaled: bool = False  # latents, to unit standard deviation
    ema_decay: float | None = None
    adaptive: bool = False  # normalisation by time and condition; otherwise they are concatenated
    beta: float = 1.0  # of the VAE
    cond_drop_prob: float = 0.0
    guidance_scale: float = 1.0


def _ladder() -> tuple[Rung, ...]:
    changes: tuple[dict[str, Any], ...] = (
        {"name": "latent scaling", "scaled": True},
        {"name": "weight averaging (EMA)", "ema_decay": 0.99},
        {"name": "adaptive normalisation", "adaptive": True},
        {"name": "smaller beta (0.01)", "beta": 0.01},
        {"name": "guidance", "cond_drop_prob": 0.1, "guidance_scale": LAST_GUIDANCE_SCALE},
    )
    rungs = [Rung("the report's recipe")]
    for change in changes:
        rungs.append(replace(rungs[-1], **change))
    return tuple(rungs)


LADDER = _ladder()


class RungResult(NamedTuple):
    """A rung, one row of measures per training seed, and the first seed's images."""

    rung: Rung
    rows: list[dict[str, float]]
    images: Float[Tensor, "n 1 28 28"]

    def mean(self, name: str) -> float:
        """Return the mean of a measure over training seeds."""
        return sum(row[name] for row in self.rows) / len(self.rows)

    def interval(self, name: str) -> tuple[float, float]:
        """Return the mean's 95 % interval (Student), clipped to the measure's possible values."""
        low, high = student_interval([row[name] for row in self.rows])
        return max(low, 0.0), min(high, 1.0) if name != "fd_ratio" else high


class PlainMLP(nn.Module):
    """The report's noise predictor: an MLP on the concatenated latent, time and condition."""

    def __init__(self, config: EpsMLPCondConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        layers: list[nn.Module] = []
        in_features = config.latent_dim + config.emb_dim + config.cond_dim
        for _ in range(1 + config.blocks):
            layers += [nn.Linear(in_features, width), nn.SiLU()]
            in_features = width
        self.body = nn.Sequential(*layers, nn.Linear(width, config.latent_dim))

    def forward(
        self, x_t: Float[Tensor, "b d"], t: Int[Tensor, " b"], cond: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b d"]:
        time = timestep_embedding(t, self.config.emb_dim).to(x_t.dtype)
        return self.body(torch.cat([x_t, time, cond], dim=1)).to(x_t.dtype)


class PromptedNoiseLoss:
    """The squared error of the predicted noise at uniform timesteps, given prompt embeddings."""

    def __init__(
        self, schedule: NoiseSchedule, bank: Float[Tensor, "10 p e"], cond_drop_prob: float
    ) -> None:
        self.schedule, self.bank, self.cond_drop_prob = schedule, bank, cond_drop_prob

    def __call__(
        self,
        model: nn.Module,
        z0: Float[Tensor, "b d"],
        labels: Int[Tensor, " b"],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        device, abar = z0.device, self.schedule.alphas_cumprod.to(z0.device)
        t = torch.randint(len(abar), (len(z0),), generator=generator).to(device)
        noise = torch.randn(z0.shape, generator=generator).to(device)
        phrasing = torch.randint(self.bank.shape[1], (len(z0),), generator=generator)
        cond = self.bank[labels.cpu(), phrasing].to(device)
        if self.cond_drop_prob:
            assert isinstance(model.null_cond, Tensor)
            drop = torch.rand(len(z0), generator=generator) < self.cond_drop_prob
            cond = drop_condition(cond, model.null_cond, drop.to(device))
        return {"total": F.mse_loss(model(add_noise(z0, t, noise, abar), t, cond), noise)}


def fit_rung(
    rung: Rung,
    profile: Profile,
    vae: VAE,
    bank: Float[Tensor, "10 p e"],
    seed: int,
    *,
    learning_rate: float = 3e-3,
    batch_size: int | None = None,
) -> tuple[nn.Module, float, Fit]:
    """Train a rung's network, or load it from the cache; also return its scaling factor.

    The default batch size is that of the profile's latent models.
    """
    train, _ = load_digits(profile, quiet=True)
    latents = encode_means(vae, train.images)
    factor = compute_scaling_factor(latents) if rung.scaled else 1.0
    seed_everything(seed)
    # different widths give both networks about the same number of weights
    width = profile.ladder.width if rung.adaptive else 3 * profile.ladder.width // 2
    config = EpsMLPCondConfig(vae.config.latent_dim, width, blocks=2, cond_dim=bank.shape[2])
    network = (EpsMLPCond if rung.adaptive else PlainMLP)(config).to(default_device())
    loss = PromptedNoiseLoss(NoiseSchedule(linear_beta_schedule()), bank, rung.cond_drop_prob)
    fit = fit_or_load(
        "ladder",
        network,
        loss,
        (latents * factor, train.labels),
        TrainConfig(
            profile.ladder.epochs,
            batch_size or profile.latent.batch_size,
            learning_rate,
            seed=seed,
            ema_decay=rung.ema_decay,
        ),
        settings={"beta": rung.beta, "factor": factor},
    )
    return network.cpu().eval(), factor, fit


@torch.no_grad()
def draw_rung(
    rung: Rung,
    network: nn.Module,
    cond: Float[Tensor, "n e"],
    noise: Float[Tensor, "n d"],
    steps: int,
) -> Float[Tensor, "n d"]:
    """Sample latents by DDIM with eta 0, with the rung's guidance scale."""
    uncond = None
    if rung.guidance_scale != 1:
        assert isinstance(network.null_cond, Tensor)
        uncond = network.null_cond.detach().expand_as(cond)
    return sample_ddim(
        network,
        NoiseSchedule(linear_beta_schedule()),
        noise.shape,
        num_inference_steps=steps,
        cond=cond,
        uncond=uncond,
        guidance_scale=rung.guidance_scale,
        noise=noise,
    )


def run_ladder(profile: Profile, clip: CLIP, seeds: Sequence[int] = SEEDS) -> list[RungResult]:
    """Train every rung with every seed and measure `profile.ladder.samples` digits of each.

    All rungs use the same noise and the same prompts. One VAE is trained per beta.
    """
    results = []
    for rung in LADDER:
        measured = [measure_rung(rung, profile, clip, seed) for seed in seeds]
        results.append(RungResult(rung, [row for row, *_ in measured], measured[0][1]))
    return results


def measure_rung(
    rung: Rung, profile: Profile, clip: CLIP, seed: int
) -> tuple[dict[str, float], Float[Tensor, "n 1 28 28"], Fit]:
    """Train a rung with one seed; return its measures, its digits and the training record."""
    bank = prompt_bank(clip)
    labels = torch.arange(profile.ladder.samples) % 10
    generator = torch.Generator().manual_seed(0)
    cond = bank[labels, torch.randint(bank.shape[1], (len(labels),), generator=generator)]
    noise = torch.randn(len(labels), LATENT_DIM, generator=generator)
    vae = fit_vae(profile, beta=rung.beta, latent_dim=LATENT_DIM).model
    network, factor, fit = fit_rung(rung, profile, vae, bank, seed)
    latents = draw_rung(rung, network, cond, noise, profile.curve_evaluations[-1])
    images = decode(vae, latents / factor)
    accuracy = label_accuracy(read_digits(images).digits, labels)
    return {"accuracy": accuracy, **measure(images, memorised=False)}, images, fit


def evaluate_ladder(profile: Profile, clip: CLIP) -> dict[str, Any]:
    """Run the ladder; return every seed's accuracy, and means and intervals per rung."""
    started = time.perf_counter()
    rungs = []
    for result in run_ladder(profile, clip):
        row: dict[str, Any] = {"name": result.rung.name}
        row["accuracies"] = [seed_row["accuracy"] for seed_row in result.rows]
        for name in ("accuracy", "fd_ratio", "coverage", "recall"):
            row |= {name: result.mean(name), f"{name}_interval": result.interval(name)}
        rungs.append(row)
    return {
        "profile": profile.name,
        "train_size": profile.train_size,
        "epochs": profile.ladder.epochs,
        "n": profile.ladder.samples,
        "seeds": list(SEEDS),
        "judge": load_judge().version,
        "rungs": rungs,
        "seconds": time.perf_counter() - started,
        "data": load_digits(profile, quiet=True)[0].source,
        **provenance(),
    }


@torch.no_grad()
def decode(vae: VAE, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n 1 28 28"]:
    """Decode unscaled latents to images in [0, 1]."""
    return vae.decode(latents)
