"""What each network is trained to minimise: a VAE, a denoising network, a flow."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.layers import append_dims
from mnistdiff.schedules import NoiseSchedule, add_noise, velocity
from mnistdiff.vae import VAE, check_loss, vae_loss

PREDICTION_TYPES = ("epsilon", "v_prediction")


class VAELoss:
    """The VAE's loss as `train` wants it: draws the latent noise, returns total, recon and kl."""

    def __init__(self, beta: float, loss_type: str) -> None:
        check_loss(beta, loss_type)
        self.beta, self.loss_type = beta, loss_type

    def __call__(
        self, model: VAE, images: Float[Tensor, "b 1 28 28"], generator: torch.Generator
    ) -> dict[str, Tensor]:
        noise = torch.randn(len(images), model.config.latent_dim, generator=generator)
        recon, mu, logvar = model(images, noise.to(images.device))
        total, recon_loss, kl = vae_loss(recon, images, mu, logvar, self.beta, self.loss_type)
        return {"total": total, "recon": recon_loss, "kl": kl}


class DiffusionLoss:
    """Mean squared error of the predicted noise or velocity at a uniformly drawn timestep.

    "epsilon": Ho et al., 2020, eq. 14; "v_prediction": Salimans & Ho, 2022, appendix D.
    """

    def __init__(self, schedule: NoiseSchedule, prediction_type: str = "epsilon") -> None:
        if prediction_type not in PREDICTION_TYPES:
            raise MnistdiffError(
                f"prediction_type is {prediction_type!r}; expected one of "
                f"{', '.join(PREDICTION_TYPES)}."
            )
        self.schedule, self.prediction_type = schedule, prediction_type

    def __call__(
        self, model: nn.Module, x0: Float[Tensor, "b ..."], generator: torch.Generator
    ) -> dict[str, Tensor]:
        steps = self.schedule.num_train_timesteps
        t = torch.randint(steps, (len(x0),), generator=generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        abar = self.schedule.alphas_cumprod.to(x0.device)
        target = noise if self.prediction_type == "epsilon" else velocity(x0, t, noise, abar)
        return {"total": F.mse_loss(model(add_noise(x0, t, noise, abar), t).float(), target)}


class FlowLoss:
    """Flow matching: on the line from data (time 0) to noise (time 1), predict noise - x0.

    Lipman et al., 2023, eq. 23, in the direction of Esser et al., 2024; `num_train_timesteps`
    scales time to the range that the network's timestep embedding expects.
    """

    def __init__(self, num_train_timesteps: int = 1000) -> None:
        self.num_train_timesteps = num_train_timesteps

    def __call__(
        self, model: nn.Module, x0: Float[Tensor, "b ..."], generator: torch.Generator
    ) -> dict[str, Tensor]:
        # logit-normal times: the middle of the line is the hard part (Esser et al., section 3.1)
        time = torch.randn(len(x0), generator=generator).sigmoid().to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        x_t = torch.lerp(x0, noise, append_dims(time, x0.ndim))
        predicted = model(x_t, time * self.num_train_timesteps).float()
        return {"total": F.mse_loss(predicted, noise - x0)}
