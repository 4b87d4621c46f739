# points: 5 | hint:
from mnistdiff.schedules import add_noise as forward_process


def latent_loss(model, z0, t, noise, abar):
    predicted = model(forward_process(z0, t, noise, abar), t)
    return torch.sum((noise - predicted) ** 2) / noise.numel()
