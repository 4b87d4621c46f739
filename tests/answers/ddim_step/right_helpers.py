# points: 8 | hint:
def predict_x0(x, e, a):
    return x / a**0.5 - e * (1 / a - 1) ** 0.5


def ddim_step(x_t: torch.Tensor, eps: torch.Tensor, abar_t: torch.Tensor, abar_prev: torch.Tensor, eta: float, noise: torch.Tensor) -> torch.Tensor:
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    parts = [
        abar_prev**0.5 * predict_x0(x_t, eps, abar_t),
        (1 - abar_prev - sigma**2) ** 0.5 * eps,
        sigma * noise,
    ]
    return sum(parts)
