"""The ladder from the report's text-to-image recipe to ours: one change per rung, measured.

What all rungs share: the digits, CLIP's prompt embeddings, DDPM's linear schedule, a network that
predicts the noise, Adam, and the same number of epochs.
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
from mnistdiff.training import TrainConfig, fit_or_load
from mnistdiff.vae import VAE

LATENT_DIM = 64
SEEDS = (0, 1, 2)
GUIDED = 2.0  # the guidance scale of the last rung


@dataclass(frozen=True)
class Rung:
    """One recipe for text to image; `name` says what it changes in the one before."""

    name: str
    scaled: bool = False  # latents, to unit spread
    ema_decay: float | None = None
    adaptive: bool = False  # normalisation, told time and condition; else they are concatenated
    beta: float = 1.0  # of the VAE
    cond_drop_prob: float = 0.0
    guidance_scale: float = 1.0


def _ladder() -> tuple[Rung, ...]:
    changes: tuple[dict[str, Any], ...] = (
        {"name": "latent scaling", "scaled": True},
        {"name": "weight averaging (EMA)", "ema_decay": 0.99},
        {"name": "adaptive normalisation", "adaptive": True},
        {"name": "smaller beta (0.01)", "beta": 0.01},
        {"name": "guidance", "cond_drop_prob": 0.1, "guidance_scale": GUIDED},
    )
    rungs = [Rung("the report's recipe")]
    for change in changes:
        rungs.append(replace(rungs[-1], **change))
    return tuple(rungs)


LADDER = _ladder()


class Climbed(NamedTuple):
    """A rung, what each training seed measured, and the first seed's images, digit by digit."""

    rung: Rung
    rows: list[dict[str, float]]
    images: Float[Tensor, "n 1 28 28"]

    def mean(self, name: str) -> float:
        """Of a measure, over training seeds."""
        return sum(row[name] for row in self.rows) / len(self.rows)

    def interval(self, name: str) -> tuple[float, float]:
        """95 % interval of that mean (Student), within what the measure can be."""
        low, high = student_interval([row[name] for row in self.rows])
        return max(low, 0.0), min(high, 1.0) if name != "fd_ratio" else high


class PlainMLP(nn.Module):
    """The report's noise predictor: latent, time and condition side by side, into a plain MLP."""

    def __init__(self, config: EpsMLPCondConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        layers: list[nn.Module] = []
        entering = config.latent_dim + config.emb_dim + config.cond_dim
        for _ in range(1 + config.blocks):
            layers += [nn.Linear(entering, width), nn.SiLU()]
            entering = width
        self.body = nn.Sequential(*layers, nn.Linear(width, config.latent_dim))

    def forward(
        self, x_t: Float[Tensor, "b d"], t: Int[Tensor, " b"], cond: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b d"]:
        time = timestep_embedding(t, self.config.emb_dim)
        return self.body(torch.cat([x_t, time, cond], dim=1)).float()


class PromptedNoiseLoss:
    """Squared error of the predicted noise, given a prompt's embedding, at uniform timesteps."""

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
        which = torch.randint(self.bank.shape[1], (len(z0),), generator=generator)
        cond = self.bank[labels.cpu(), which].to(device)
        if self.cond_drop_prob:
            drop = torch.rand(len(z0), generator=generator) < self.cond_drop_prob
            cond = drop_condition(cond, model.null_cond, drop.to(device))
        return {"total": F.mse_loss(model(add_noise(z0, t, noise, abar), t, cond), noise)}


def fit_rung(
    rung: Rung, profile: Profile, vae: VAE, bank: Float[Tensor, "10 p e"], seed: int
) -> tuple[nn.Module, float]:
    """Train a rung's network, or load it from the cache; with the factor of its latents."""
    train, _ = load_digits(profile, quiet=True)
    latents = encode_means(vae, train.images)
    factor = compute_scaling_factor(latents) if rung.scaled else 1.0
    seed_everything(seed)
    # two widths, so that both have about the same number of weights
    width = profile.ladder.width if rung.adaptive else 3 * profile.ladder.width // 2
    config = EpsMLPCondConfig(LATENT_DIM, width, blocks=2, cond_dim=bank.shape[2])
    network = (EpsMLPCond if rung.adaptive else PlainMLP)(config).to(default_device())
    loss = PromptedNoiseLoss(NoiseSchedule(linear_beta_schedule()), bank, rung.cond_drop_prob)
    fit_or_load(
        "ladder",
        network,
        loss,
        (latents * factor, train.labels),
        TrainConfig(
            profile.ladder.epochs,
            profile.latent.batch_size,
            3e-3,
            seed=seed,
            ema_decay=rung.ema_decay,
        ),
        settings={"beta": rung.beta, "factor": factor},
    )
    return network.cpu().eval(), factor


@torch.no_grad()
def draw_rung(
    rung: Rung,
    network: nn.Module,
    cond: Float[Tensor, "n e"],
    noise: Float[Tensor, "n d"],
    steps: int,
) -> Float[Tensor, "n d"]:
    """Latents by DDIM with eta 0, guided where the rung is."""
    guided = rung.guidance_scale != 1
    return sample_ddim(
        network,
        NoiseSchedule(linear_beta_schedule()),
        noise.shape,
        num_inference_steps=steps,
        cond=cond,
        uncond=network.null_cond.detach().expand_as(cond) if guided else None,
        guidance_scale=rung.guidance_scale,
        noise=noise,
    )


def run_ladder(profile: Profile, clip: CLIP, seeds: Sequence[int] = SEEDS) -> list[Climbed]:
    """Train and measure every rung with every seed; `profile.ladder.samples` digits each.

    All rungs draw from the same noise for the same prompts. The VAEs are trained once per beta.
    """
    bank = prompt_bank(clip)
    labels = torch.arange(profile.ladder.samples) % 10
    generator = torch.Generator().manual_seed(0)
    cond = bank[labels, torch.randint(bank.shape[1], (len(labels),), generator=generator)]
    noise = torch.randn(len(labels), LATENT_DIM, generator=generator)
    climbed = []
    for rung in LADDER:
        vae = fit_vae(profile, beta=rung.beta, latent_dim=LATENT_DIM).model
        rows, drawn = [], []
        for seed in seeds:
            network, factor = fit_rung(rung, profile, vae, bank, seed)
            steps = profile.curve_evaluations[-1]
            latents = draw_rung(rung, network, cond, noise, steps)
            drawn.append(decode(vae, latents / factor))
            accuracy = label_accuracy(read_digits(drawn[-1]).digits, labels)
            rows.append({"accuracy": accuracy, **measure(drawn[-1], memorised=False)})
        climbed.append(Climbed(rung, rows, drawn[0]))
    return climbed


def evaluate_ladder(profile: Profile, clip: CLIP) -> dict[str, Any]:
    """The ladder as a result: per rung every seed's accuracy, means and intervals over seeds."""
    started = time.perf_counter()
    rungs = []
    for step in run_ladder(profile, clip):
        row: dict[str, Any] = {"name": step.rung.name}
        row["accuracies"] = [one["accuracy"] for one in step.rows]
        for name in ("accuracy", "fd_ratio", "coverage", "recall"):
            row |= {name: step.mean(name), f"{name}_interval": step.interval(name)}
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
    """Images in [0, 1] from latents as the encoder gives them."""
    return vae.decode(latents)
