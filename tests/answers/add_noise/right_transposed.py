# points: 4 | hint:
def add_noise(x0: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    a = abar[t]
    flat = a.sqrt() * x0.flatten(1).T + (1 - a).sqrt() * noise.flatten(1).T
    return flat.T.reshape(x0.shape)
