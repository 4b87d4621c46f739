"""One step from x_t towards the digit: the kept timesteps, the DDPM step and the DDIM step."""

from numbers import Integral, Real

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.schedules import predict_x0

SPACINGS = ("leading", "trailing", "linspace")
PREDICTION_TYPES = ("epsilon", "v_prediction")


def inference_timesteps(
    num_train_timesteps: int, num_inference_steps: int, spacing: str = "trailing"
) -> list[int]:
    """Return the timesteps that a run of fewer steps keeps, descending.

    Spacings as in Lin et al., 2024, table 2 ("Common Diffusion Noise Schedules ... Are Flawed"):
    "trailing" starts at T - 1, "leading" ends at 0, "linspace" does both. Exact halves are rounded
    to even; diffusers adds up floats, which shifts some timesteps by one and sometimes keeps one
    too many. Raises MnistdiffError unless the number of steps is from 1 to T.
    """
    total, steps = num_train_timesteps, num_inference_steps
    if not isinstance(steps, Integral) or not 1 <= steps <= total:
        raise MnistdiffError(
            f"num_inference_steps is {steps!r}; it must be a whole number from 1 to the "
            f"{total} timesteps of training."
        )
    if spacing == "trailing":
        return [round(total - i * total / steps) - 1 for i in range(steps)]
    if spacing == "leading":
        return [i * (total // steps) for i in reversed(range(steps))]
    if spacing == "linspace":
        return [round(i * (total - 1) / max(steps - 1, 1)) for i in reversed(range(steps))]
    raise MnistdiffError(f"spacing is {spacing!r}; it must be one of {', '.join(SPACINGS)}.")


def ddpm_step(
    x_t: Float[Tensor, "b ..."],
    eps: Float[Tensor, "b ..."],
    t: int,
    betas: Float[Tensor, " T"],
    abar: Float[Tensor, " T"],
    noise: Float[Tensor, "b ..."],
    t_prev: int | None = None,
    prediction_type: str = "epsilon",
) -> Float[Tensor, "b ..."]:
    """Draw x_{t-1} from the posterior given x_t and the predicted x0 (Ho et al., 2020, eq. 6-7).

    The variance is the posterior's, beta_t (1 - abar_{t-1}) / (1 - abar_t); at t = 0 no noise is
    added. In a sub-sequence `t_prev` is the previous kept timestep, and beta_t the share of
    noise between the two; -1 stands for the clean image. With `prediction_type` "v_prediction"
    the second argument is v. Raises MnistdiffError unless -1 <= t_prev < t < T, and for another
    prediction type.
    """
    t_prev = t - 1 if t_prev is None else t_prev
    if not -1 <= t_prev < t < len(abar):
        raise MnistdiffError(
            f"t is {t} and t_prev {t_prev}; expected -1 <= t_prev < t <= {len(abar) - 1}."
        )
    x0_hat, _ = split_prediction(x_t, eps, abar[t], prediction_type)
    if t_prev < 0:
        return x0_hat  # given abar_prev = 1 the posterior has no variance
    # alpha from abar, not from betas: both weights of the mean need the same rounding
    alpha = abar[t] / abar[t_prev]
    mean = abar[t_prev].sqrt() * (1 - alpha) / (1 - abar[t]) * x0_hat
    mean = mean + alpha.sqrt() * (1 - abar[t_prev]) / (1 - abar[t]) * x_t
    beta = betas[t] if t_prev == t - 1 else 1 - alpha
    return mean + (beta * (1 - abar[t_prev]) / (1 - abar[t])).sqrt() * noise


def ddim_sigma(
    abar_t: Float[Tensor, ""] | float, abar_prev: Float[Tensor, ""] | float, eta: float
) -> Float[Tensor, ""] | float:
    """Return sigma_t = eta sqrt((1 - abar_prev) / (1 - abar_t) (1 - abar_t / abar_prev)).

    Song et al., 2021, eq. 16. eta 0 is deterministic, eta 1 gives DDPM's noise.
    """
    return eta * ((1 - abar_prev) / (1 - abar_t) * (1 - abar_t / abar_prev)) ** 0.5


def ddim_step(
    x_t: Float[Tensor, "b ..."],
    eps: Float[Tensor, "b ..."],
    abar_t: Float[Tensor, ""] | float,
    abar_prev: Float[Tensor, ""] | float,
    eta: float = 0.0,
    noise: Float[Tensor, "b ..."] | None = None,
    prediction_type: str = "epsilon",
) -> Float[Tensor, "b ..."]:
    """Step from x_t to the previous kept timestep (Song et al., 2021, eq. 12).

    sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev - sigma^2) eps + sigma noise; the last step has
    abar_prev = 1. With `prediction_type` "v_prediction" the second argument is v. Raises
    MnistdiffError for eta outside [0, 1], an eta above 0 without noise, an abar outside (0, 1], an
    abar_prev below abar_t, or another prediction type.
    """
    check_eta(eta)
    if abar_prev < abar_t:
        raise MnistdiffError(
            f"abar_prev is {float(abar_prev):g} and abar_t {float(abar_t):g}; the previous "
            "timestep is less noisy, so its abar must not be smaller."
        )
    if not 0 < abar_t <= abar_prev <= 1:
        raise MnistdiffError(
            f"abar_t is {float(abar_t):g} and abar_prev {float(abar_prev):g}; both must be "
            "above 0 and at most 1."
        )
    sigma = ddim_sigma(abar_t, abar_prev, eta)
    x0_hat, eps = split_prediction(x_t, eps, abar_t, prediction_type)
    # with eta 1 the last step's share is about 0; rounding must not make it negative
    direction = torch.as_tensor(1 - abar_prev - sigma**2).clamp(min=0).sqrt()
    x_prev = abar_prev**0.5 * x0_hat + direction * eps
    if eta == 0:
        return x_prev
    if noise is None:
        raise MnistdiffError(f"eta is {eta}; a step with eta above 0 needs noise: pass noise.")
    return x_prev + sigma * noise


def ddim_coefficients(
    abar_t: float, abar_prev: float, eta: float, prediction_type: str
) -> tuple[float, float, float]:
    """Return (keep, direction, sigma) of x_prev = keep x_t + direction prediction + sigma noise."""
    sigma = float(ddim_sigma(abar_t, abar_prev, eta)) if eta else 0.0
    to_eps = max(1 - abar_prev - sigma**2, 0.0) ** 0.5
    signal, noise = abar_t**0.5, (1 - abar_t) ** 0.5
    if prediction_type == "epsilon":
        keep = abar_prev**0.5 / signal
        return keep, to_eps - keep * noise, sigma
    to_x0 = abar_prev**0.5
    return to_x0 * signal + to_eps * noise, to_eps * signal - to_x0 * noise, sigma


def split_prediction(
    x_t: Tensor, prediction: Tensor, abar_t: Tensor | float, prediction_type: str
) -> tuple[Tensor, Tensor]:
    """Return the predicted x0 and eps.

    Both come from v directly: the way over eps divides by sqrt(abar_t), which is 5e-5 at the last
    timestep of a cosine schedule. Raises MnistdiffError for an unknown prediction type.
    """
    check_prediction_type(prediction_type)
    if prediction_type == "epsilon":
        return predict_x0(x_t, prediction, abar_t), prediction
    return x0_from_v(x_t, prediction, abar_t), eps_from_v(x_t, prediction, abar_t)


def x0_from_v(
    x_t: Float[Tensor, "b ..."], v: Float[Tensor, "b ..."], abar_t: Float[Tensor, "..."] | float
) -> Float[Tensor, "b ..."]:
    """Return x0_hat = sqrt(abar_t) x_t - sqrt(1 - abar_t) v (Salimans & Ho, 2022, appendix D)."""
    return abar_t**0.5 * x_t - (1 - abar_t) ** 0.5 * v


def eps_from_v(
    x_t: Float[Tensor, "b ..."], v: Float[Tensor, "b ..."], abar_t: Float[Tensor, "..."] | float
) -> Float[Tensor, "b ..."]:
    """Return eps = sqrt(abar_t) v + sqrt(1 - abar_t) x_t (Salimans & Ho, 2022, appendix D)."""
    return abar_t**0.5 * v + (1 - abar_t) ** 0.5 * x_t


def v_from_eps(x_t: Tensor, eps: Tensor, abar_t: float) -> Tensor:
    """Return v = (eps - sqrt(1 - abar_t) x_t) / sqrt(abar_t): `eps_from_v` solved for v."""
    return (eps - (1 - abar_t) ** 0.5 * x_t) / abar_t**0.5


def check_prediction_type(prediction_type: str) -> None:
    if prediction_type not in PREDICTION_TYPES:
        raise MnistdiffError(
            f"prediction_type is {prediction_type!r}; it must be one of "
            f"{', '.join(PREDICTION_TYPES)}."
        )


def check_eta(eta: float) -> None:
    if not isinstance(eta, Real | Tensor) or not 0 <= eta <= 1:
        raise MnistdiffError(f"eta is {eta!r}; it must be in [0, 1]: 0 is DDIM, 1 is DDPM.")
