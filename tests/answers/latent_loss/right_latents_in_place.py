# points: 5 | hint:
import torch.nn.functional as F


def latent_loss(model: torch.nn.Module, z0: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    model.train()
    z0 *= abar[t][:, None] ** 0.5
    z0 += (1 - abar[t])[:, None] ** 0.5 * noise
    predicted = model(x_t=z0, t=t)
    return F.mse_loss(predicted.double(), noise.double())
