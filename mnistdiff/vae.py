"""The variational autoencoder: a compressor whose latent space can be sampled.

In the terms of Kingma & Welling (2014): `encode` gives q(z given x) = N(mu, sigma^2) as mu and
`logvar` = log sigma^2; `reparameterize` draws z; `decode` gives the means of p(x given z);
`vae_loss` is the negative ELBO, with Higgins et al.'s (2017) weight beta on the KL.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import at_least_float32, check_images, check_latents, residual_mlp
from mnistdiff.storage import LARGEST

LOSS_TYPES = ("mse", "bce")
IMAGE_SHAPE = (1, 28, 28)
PIXELS = 28 * 28
PIXEL_MEAN, PIXEL_STD = 0.1307, 0.3081  # of MNIST's training images
LOGIT_SCALE = 4.0  # most pixels are near 0 or 1: training reaches large logits sooner


@dataclass(frozen=True)
class VAEConfig:
    """Architecture of encoder and decoder, which mirror each other."""

    latent_dim: int = 100
    width: int = 512  # of the hidden layers
    blocks: int = 2  # residual blocks on each side

    def __post_init__(self) -> None:
        for name, minimum in (("latent_dim", 1), ("width", 1), ("blocks", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or not minimum <= value <= LARGEST:
                raise MnistdiffError(
                    f"{name} is {value!r}; it must be a whole number from {minimum} to {LARGEST:,}."
                )


class VAE(nn.Module):
    """A residual MLP as encoder and one as decoder: 28x28 images in [0, 1], latent vectors."""

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or VAEConfig()
        width, blocks, latent = self.config.width, self.config.blocks, self.config.latent_dim
        self.encoder = residual_mlp(PIXELS, width, blocks, 2 * latent)
        self.decoder = residual_mlp(latent, width, blocks, PIXELS)

    def encode(
        self, x: Float[Tensor, "b 1 28 28"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
        """Return mean and log variance of q(z given x), each (B, latent_dim)."""
        check_images(x)
        dtype = next(self.parameters()).dtype
        standardised = (x.to(dtype).flatten(1) - PIXEL_MEAN) / PIXEL_STD
        mu, logvar = self.encoder(standardised).to(dtype).chunk(2, dim=1)  # also under autocast
        return mu, logvar

    @staticmethod
    def reparameterize(
        mu: Float[Tensor, "b d"], logvar: Float[Tensor, "b d"], noise: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b d"]:
        """Draw from q(z given x), as a differentiable function of standard normal noise."""
        return mu + (0.5 * logvar).exp() * noise

    def decode(self, z: Float[Tensor, "b d"]) -> Float[Tensor, "b 1 28 28"]:
        """Return pixel means in (0, 1)."""
        check_latents(z, self.config.latent_dim)
        dtype = next(self.parameters()).dtype
        logits = LOGIT_SCALE * self.decoder(z.to(dtype)).to(dtype)
        return torch.sigmoid(logits).unflatten(1, IMAGE_SHAPE)

    def forward(
        self, x: Float[Tensor, "b 1 28 28"], noise: Float[Tensor, "b d"]
    ) -> tuple[Float[Tensor, "b 1 28 28"], Float[Tensor, "b d"], Float[Tensor, "b d"]]:
        """Return reconstruction, mu and logvar; `noise` is standard normal, zeros give z = mu."""
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar, noise)), mu, logvar


def kl_divergence(mu: Float[Tensor, "b d"], logvar: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Return KL(N(mu, sigma^2) || N(0, 1)) in nats: summed over dimensions, mean over the batch.

    Kingma & Welling, 2014, appendix B.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=1).mean()


def vae_loss(
    recon: Float[Tensor, "b ..."],
    x: Float[Tensor, "b ..."],
    mu: Float[Tensor, "b d"],
    logvar: Float[Tensor, "b d"],
    beta: float = 1.0,
    loss_type: str = "mse",
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """Return (total, recon, kl) with total = recon + beta * kl.

    recon is summed over pixels and averaged over the batch: squared error ("mse") or binary
    cross-entropy in nats ("bce") of images in [0, 1]. Raises MnistdiffError as `check_loss`, and
    if the shapes of recon and x differ.
    """
    check_loss(beta, loss_type)
    if recon.shape != x.shape:
        raise MnistdiffError(
            f"reconstructions have shape {tuple(recon.shape)}, images {tuple(x.shape)}; they must "
            "be equal."
        )
    error = F.mse_loss if loss_type == "mse" else F.binary_cross_entropy
    with torch.autocast(recon.device.type, enabled=False):  # it refuses binary cross-entropy
        recon, x = at_least_float32(recon), x.to(at_least_float32(recon))
        recon_loss = error(recon, x, reduction="sum") / len(x)
    kl = kl_divergence(mu, logvar)
    return recon_loss + beta * kl, recon_loss, kl


def check_loss(beta: float, loss_type: str) -> None:
    """Raise MnistdiffError if beta is below 0 or not finite, or if the loss is unknown."""
    if not 0 <= beta < float("inf"):
        raise MnistdiffError(f"beta is {beta}; it must be a number >= 0.")
    if loss_type not in LOSS_TYPES:
        raise MnistdiffError(f"loss_type is {loss_type!r}; it must be 'mse' or 'bce'.")


def kl_per_dimension(mu: Float[Tensor, "b d"], logvar: Float[Tensor, "b d"]) -> Float[Tensor, " d"]:
    """Return KL(q(z_d given x) || N(0, 1)) per latent dimension: batch mean, in nats."""
    return (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(dim=0)


def active_units(mu: Float[Tensor, "b d"], threshold: float = 0.01) -> int:
    """Count the latent dimensions whose posterior mean has a variance above threshold.

    Burda et al., 2016, section 5.2.
    """
    return int((mu.var(dim=0, unbiased=False) > threshold).sum())
