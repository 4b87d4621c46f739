"""Training speed of the 784-400-20 VAE: ours compared with PyTorch's VAE example.

The network, the loss (BCE), Adam at 1e-3, batch 128 and the number of passes are the same. Data
loading and the training step differ. The peer follows the published recipe: torchvision's MNIST
with ToTensor per image through a DataLoader, default Adam, and `loss.item()` in each step. Rounds
alternate in one process, and each trains one pass over the same images. The test losses after the
last round must agree within half a percent.

    python benchmarks/vae_training.py [--rounds 7] [--images 60000]
"""

import argparse
import gzip
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from mnistdiff.data import FILES, batches, load_mnist, raw_folder
from mnistdiff.runtime import default_device
from mnistdiff.training import TrainConfig, train
from mnistdiff.vae import VAE, vae_loss

BATCH = 128


class PlainVAE(nn.Module):
    """The example's network: 784-400-20-400-784 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encoder(x.flatten(1)).float().chunk(2, dim=1)
        noise = torch.randn_like(mu) if noise is None else noise
        z = VAE.reparameterize(mu, logvar, noise)
        return torch.sigmoid(self.decoder(z).float()).view_as(x), mu, logvar


def our_loss(model: nn.Module, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    noise = torch.randn(len(images), 20, generator=generator)
    total, recon, kl = vae_loss(*_with_images(model, images, noise), loss_type="bce")
    return {"total": total, "recon": recon, "kl": kl}


def _with_images(model: nn.Module, images: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
    recon, mu, logvar = model(images, noise)
    return recon, images, mu, logvar


def ours(model: nn.Module, images: Tensor, passes: int) -> Iterator[float]:
    """Yield the seconds of each pass."""
    config, marks = TrainConfig(passes, BATCH, 1e-3), [time.perf_counter()]
    for step in train(model, our_loss, (images,), config):
        if step.epoch_means is not None:
            marks.append(time.perf_counter())
            yield marks[-1] - marks[-2]
            marks[-1] = time.perf_counter()


def example(model: nn.Module, folder: Path, n: int, passes: int) -> Iterator[float]:
    """Yield the seconds of each pass of the example's training loop."""
    dataset = datasets.MNIST(str(folder), train=True, transform=transforms.ToTensor())
    loader = DataLoader(Subset(dataset, range(n)), batch_size=BATCH, shuffle=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(passes):
        started, summed = time.perf_counter(), 0.0
        model.train()
        for data, _ in loader:
            optimiser.zero_grad()
            recon, mu, logvar = model(data)
            error = F.binary_cross_entropy(recon.view(-1, 784), data.view(-1, 784), reduction="sum")
            kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            loss = error + kl
            loss.backward()
            summed += loss.item()
            optimiser.step()
        yield time.perf_counter() - started


@torch.inference_mode()
def test_loss(model: nn.Module, images: Tensor) -> float:
    generator = torch.Generator().manual_seed(0)
    parts = [
        our_loss(model, x, generator)["total"] * len(x) for (x,) in batches(images, batch_size=1000)
    ]
    return float(sum(parts) / len(images))


def plain_copy(folder: Path) -> Path:
    """Unpack MNIST into a folder for torchvision; return the folder."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in (n for pair in FILES.values() for n in pair):
        source = raw_folder() / name
        packed = source.with_name(f"{name}.gz")
        data = source.read_bytes() if source.exists() else gzip.decompress(packed.read_bytes())
        (raw / name).write_bytes(data)
    return folder


def ratio_interval(ratios: list[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(2000))
    return medians[50], medians[-51]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=60_000)
    options = parser.parse_args()
    train_images = load_mnist("train", "full").images[: options.images]
    test_images = load_mnist("test", "full").images
    models = {}
    for name in ("ours", "example"):
        torch.manual_seed(0)
        models[name] = PlainVAE().to(default_device())
    with tempfile.TemporaryDirectory() as folder:
        rounds = zip(
            ours(models["ours"], train_images, options.rounds),
            example(models["example"], plain_copy(Path(folder)), options.images, options.rounds),
            strict=True,
        )
        seconds = [pair for pair in rounds]
    ratios = [theirs / mine for mine, theirs in seconds[1:]]  # the first round warms up
    losses = {name: test_loss(model, test_images) for name, model in models.items()}
    result = {
        "images_per_second": {
            "ours": options.images / statistics.median(mine for mine, _ in seconds[1:]),
            "example": options.images / statistics.median(theirs for _, theirs in seconds[1:]),
        },
        "ratio": statistics.median(ratios),
        "ratio_interval": ratio_interval(ratios),
        "test_loss": losses,
        "test_loss_difference": abs(losses["ours"] / losses["example"] - 1),
        "threads": torch.get_num_threads(),
        "rounds": len(ratios),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
