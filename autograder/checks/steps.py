"""The steps of diffusion in float64, a drawn schedule, and what people write instead."""

from torch import Tensor

from autograder.checks.base import Draw

Pair = tuple[Tensor, Tensor]  # abar_t, abar_prev
ETA = "eta has no influence: at eta 0, sigma is 0 everywhere, under the square root too."
SHAPES = ((2, 1, 3, 4), (3, 4), (1, 5))  # images, latents, a batch of one


def draw_schedule(draw: Draw, steps: int = 10) -> tuple[Tensor, Tensor]:
    """betas and abar, (T,), with betas large enough for float32 to tell all formulas apart."""
    betas = draw.uniform(steps, low=0.05, high=0.25)
    return betas, (1 - betas).cumprod(0)


def draw_pairs(draw: Draw) -> list[Pair]:
    """abar at (t, previous kept t): neighbours, a small gap and a wide one, all 0-d."""
    abar = draw_schedule(draw)[1]
    starts = (1 + draw.order(4)).tolist()
    return [(abar[i + gap], abar[i]) for i, gap in zip(starts, (1, 2, 5), strict=False)]


def predict_x0(x_t: Tensor, eps: Tensor, abar_t: Tensor) -> Tensor:
    """x0_hat, in float64."""
    return (x_t.double() - (1 - abar_t.double()).sqrt() * eps) / abar_t.double().sqrt()


def ddim_sigma(abar_t: Tensor, abar_prev: Tensor, eta: float) -> Tensor:
    """Song et al., eq. 16, in float64."""
    a, p = abar_t.double(), abar_prev.double()
    return eta * ((1 - p) / (1 - a) * (1 - a / p)).sqrt()


def ddim_step(x_t: Tensor, eps: Tensor, pair: Pair, eta: float, noise: Tensor) -> Tensor:
    """Song et al., eq. 12, in float64."""
    p, sigma = pair[1].double(), ddim_sigma(*pair, eta)
    mean = p.sqrt() * predict_x0(x_t, eps, pair[0]) + (1 - p - sigma**2).sqrt() * eps
    return mean + sigma * noise


def posterior_mean(x0_hat: Tensor, x_t: Tensor, beta: Tensor, pair: Pair) -> Tensor:
    """Ho et al., eq. 7, in float64."""
    a, p, beta = pair[0].double(), pair[1].double(), beta.double()
    return (p.sqrt() * beta * x0_hat + (1 - beta).sqrt() * (1 - p) * x_t) / (1 - a)


def posterior_variance(beta: Tensor, pair: Pair) -> Tensor:
    """Ho et al., eq. 7, in float64."""
    a, p = pair[0].double(), pair[1].double()
    return beta.double() * (1 - p) / (1 - a)


def ddpm_step(x_t: Tensor, eps: Tensor, beta: Tensor, pair: Pair, noise: Tensor) -> Tensor:
    """One step to t - 1 with the posterior's variance, in float64."""
    mean = posterior_mean(predict_x0(x_t, eps, pair[0]), x_t, beta, pair)
    return mean + posterior_variance(beta, pair).sqrt() * noise


def ddpm_mean_mistakes(x: Tensor, eps: Tensor, beta: Tensor, pair: Pair) -> list[tuple]:
    """What a wrong mean of a DDPM step comes out as, and why."""
    a, p, b = (v.double() for v in (*pair, beta))
    x, eps, root = x.double(), eps.double(), (1 - b).sqrt()
    x0 = predict_x0(x, eps, a)
    by_abar = "eps is divided by sqrt(1 - abar_t), with the cumulative abar"
    return [
        (x0, "this is x0_hat itself: one step only goes from x_t to x_{t-1}"),
        (eps, "this is eps itself: the step takes it out of x_t"),
        (p.sqrt() * x0, "the second part of the posterior mean, the share of x_t, is missing"),
        (p.sqrt() * x0 + (1 - p).sqrt() * eps, "this is DDIM's step at eta 0, not DDPM's mean"),
        (posterior_mean(x0.clamp(-1, 1), x, b, (a, p)), "do not clip x0_hat: nothing asks for it"),
        (posterior_mean(eps, x, b, (a, p)), "eps is no picture: compute x0_hat from x_t and eps"),
        (posterior_mean(x, x0, b, (a, p)), "x0_hat and x_t are swapped in the posterior mean"),
        (posterior_mean(x0, x, b, (a, a)), "the posterior mean needs abar[t - 1] as well"),
        (x - b / (1 - a).sqrt() * eps, "divide by sqrt(alpha_t) = sqrt(1 - beta_t) at the end"),
        ((x - b / (1 - a).sqrt() * eps) * root, "divide by sqrt(alpha_t), do not multiply"),
        ((x - b / (1 - a).sqrt() * eps) / (1 - b), "sqrt forgotten: divide by sqrt(alpha_t)"),
        ((x - b / (1 - a).sqrt() * eps) / a.sqrt(), "divide by sqrt(alpha_t), not sqrt(abar_t)"),
        ((x - b * eps) / root, f"the scale of eps is not beta_t alone: {by_abar}"),
        ((x - b / (1 - a) * eps) / root, f"sqrt forgotten: {by_abar}"),
        ((x - b.sqrt() * eps) / root, f"you used beta_t or alpha_t in place of abar_t: {by_abar}"),
        ((x - b / (1 - p).sqrt() * eps) / root, "abar is read at t - 1 where abar[t] belongs"),
        ((x + b / (1 - a).sqrt() * eps) / root, "the noise eps is taken out of x_t, not added"),
        (x / root, "eps has no influence on the result"),
    ]


def ddpm_scale_mistakes(beta: Tensor, pair: Pair) -> list[tuple]:
    """What people multiply the noise of a DDPM step with, and why that is wrong."""
    a, p, b = (v.double() for v in (*pair, beta))
    variance = posterior_variance(b, (a, p))
    tilde = "sigma_t^2 is the posterior's variance, beta_t (1 - abar_{t-1}) / (1 - abar_t)"
    return [
        (0 * b, "no noise is added: it is left out at t = 0 only"),
        (b / b, f"the noise is added as it is: multiply it by sigma_t; {tilde}"),
        (variance, f"this is the variance: take its square root; {tilde}"),
        (b.sqrt(), f"this is sqrt(beta_t), another choice of sigma_t; here {tilde}"),
        (b, f"this is beta_t: {tilde}"),
        (b.sqrt() * (1 - p) / (1 - a), f"the square root goes over the whole fraction: {tilde}"),
        (b * ((1 - p) / (1 - a)).sqrt(), f"the square root goes over beta_t too: {tilde}"),
        ((b * (1 - a) / (1 - p)).sqrt(), f"the fraction is upside down: {tilde}"),
        (((1 - p) / (1 - a)).sqrt(), f"beta_t is missing: {tilde}"),
        ((b * (1 - p)).sqrt(), f"the denominator is missing: {tilde}"),
        ((b * p / a).sqrt(), f"each abar enters as 1 - abar: {tilde}"),
        ((1 - a).sqrt(), f"this is the noise of x_t as a whole, not that of one step: {tilde}"),
        ((1 - p).sqrt(), f"this is the noise of x_t as a whole, not that of one step: {tilde}"),
        (-variance.sqrt(), "sigma_t * noise is added, not subtracted"),
    ]


def sigma_mistakes(abar_t: Tensor, abar_prev: Tensor) -> list[tuple]:
    """What people compute for DDIM's sigma at eta 1, and why that is wrong."""
    a, p = abar_t.double(), abar_prev.double()
    first, second = (1 - p) / (1 - a), 1 - a / p
    both = "sigma = eta sqrt((1 - abar_prev) / (1 - abar_t)) sqrt(1 - abar_t / abar_prev)"
    return [
        (0 * a, "sigma is zero at eta 1: this is DDIM's other end, where noise is added"),
        (first * second, f"this is sigma^2: the square root is missing; {both}"),
        (first.sqrt() * second, f"the second factor is outside the square root: {both}"),
        (first * second.sqrt(), f"the first factor is outside the square root: {both}"),
        (first.sqrt(), f"the factor sqrt(1 - abar_t / abar_prev) is missing: {both}"),
        (second.sqrt(), f"the factor sqrt((1 - abar_prev) / (1 - abar_t)) is missing: {both}"),
        ((second / first).sqrt(), f"the first fraction is upside down: {both}"),
        ((p / a * second).sqrt(), f"the first fraction takes 1 - abar on both sides: {both}"),
        ((first * (1 - a)).sqrt(), f"1 - abar_t / abar_prev compares the two steps: {both}"),
        ((first * (p - a)).sqrt(), f"the difference must be divided by abar_prev: {both}"),
        (first.sqrt() + second.sqrt(), f"the two square roots are multiplied: {both}"),
    ]


def x0_mistakes(x_t: Tensor, eps: Tensor, abar_t: Tensor) -> list[tuple]:
    """What a wrong x0_hat comes out as, and why."""
    a, x, eps = abar_t.double(), x_t.double(), eps.double()
    noise_part, formula = (1 - a).sqrt() * eps, "x0_hat solves the forward process for x0"
    return [
        (eps, "on the last step you return eps: x0_hat and eps are swapped"),
        (x, "on the last step you return x_t: x0_hat takes out the noise, by abar_t"),
        (x - noise_part, f"divide by sqrt(abar_t): {formula}"),
        ((x - noise_part) * a.sqrt(), f"divide by sqrt(abar_t), do not multiply: {formula}"),
        ((x - noise_part) / a, f"sqrt forgotten: divide by sqrt(abar_t); {formula}"),
        ((x - (1 - a) * eps) / a.sqrt(), f"sqrt forgotten: take sqrt(1 - abar_t) eps; {formula}"),
        ((x - (1 - a) * eps) / a, f"both square roots are forgotten: {formula}"),
        ((x + noise_part) / a.sqrt(), f"eps is taken out of x_t, not added: {formula}"),
        ((x - a.sqrt() * eps) / (1 - a).sqrt(), f"the two scales are swapped: {formula}"),
        ((x - eps) / a.sqrt(), f"eps is scaled by sqrt(1 - abar_t): {formula}"),
        (predict_x0(x, eps, a).clamp(-1, 1), "do not clip x0_hat: nothing here asks for it"),
        (0 * x, "the last step must return x0_hat, and gives zero"),
    ]


def direction_mistakes(x_t: Tensor, eps: Tensor, pair: Pair) -> list[tuple]:
    """What a wrong step at eta 0 comes out as, and why."""
    (a, p), x0 = (v.double() for v in pair), predict_x0(x_t, eps, pair[0])
    eps, right = eps.double(), "x_prev = sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev) eps"
    return [
        (p.sqrt() * x0, f"the direction along eps is missing: {right}"),
        (x0 + (1 - p).sqrt() * eps, f"x0_hat is scaled by sqrt(abar_prev): {right}"),
        (p * x0 + (1 - p).sqrt() * eps, f"sqrt forgotten on abar_prev: {right}"),
        (p.sqrt() * x0 + (1 - p) * eps, f"sqrt forgotten on 1 - abar_prev: {right}"),
        (p * x0 + (1 - p) * eps, f"both square roots are forgotten: {right}"),
        (p.sqrt() * x0 + (1 - a).sqrt() * eps, f"abar_t stands where abar_prev belongs: {right}"),
        (a.sqrt() * x0 + (1 - p).sqrt() * eps, f"abar_t stands where abar_prev belongs: {right}"),
        (x_t.double(), f"you are back at x_t: abar_prev belongs in the new scales; {right}"),
        ((1 - p).sqrt() * x0 + p.sqrt() * eps, f"the two scales are swapped: {right}"),
        (p.sqrt() * eps + (1 - p).sqrt() * x0, f"x0_hat and eps are swapped: {right}"),
        (p.sqrt() * x0 - (1 - p).sqrt() * eps, f"the direction along eps is added: {right}"),
        (p.sqrt() * x0 + (1 - p - ddim_sigma(a, p, 1.0) ** 2).sqrt() * eps, f"{ETA} {right}"),
    ]


def scale_mistakes(pair: Pair, eta: float) -> list[tuple]:
    """What people multiply the noise of a DDIM step with, and why that is wrong."""
    sigma, full = ddim_sigma(*pair, eta), ddim_sigma(*pair, 1.0)
    return [
        (0 * sigma, "the noise has no influence at eta > 0: add sigma * noise"),
        (sigma**2, "the noise is scaled by sigma, not by its square"),
        (sigma / sigma, "the noise is added as it is: multiply it by sigma"),
        (sigma / sigma * eta, "the noise is scaled by eta alone: multiply it by sigma"),
        (full, "eta has no influence on the noise: hand it on to ddim_sigma"),
        (eta * sigma, "eta comes in twice: sigma contains it already"),
        (sigma.sqrt(), "the noise is scaled by sigma, not by its square root"),
        (-sigma, "sigma * noise is added, not subtracted"),
    ] + [(eta * scale, hint) for scale, hint in sigma_mistakes(*pair)]


def room_mistakes(pair: Pair, eta: float) -> list[tuple]:
    """How people change the share along eps when eta > 0, and why that is wrong."""
    p, sigma, full = pair[1].double(), ddim_sigma(*pair, eta), ddim_sigma(*pair, 1.0)
    root, right = (1 - p).sqrt(), "the share along eps is sqrt(1 - abar_prev - sigma^2)"
    return [
        (-root, "nothing is left along eps: a clamp there hides a sigma too large or not squared"),
        (0 * p, f"it does not shrink when noise is added, so the variance grows: {right}"),
        (-sigma, f"sigma is outside the square root: {right}"),
        (-(sigma**2), f"sigma^2 is outside the square root: {right}"),
        ((1 - p - sigma).clamp(min=0).sqrt() - root, f"sigma must be squared: {right}"),
        ((1 - p + sigma**2).sqrt() - root, f"sigma^2 is taken away, not added: {right}"),
        ((1 - p - full**2).sqrt() - root, f"eta is missing in the sigma under the root: {right}"),
        ((1 - p - (eta * sigma) ** 2).sqrt() - root, f"eta comes in twice: {right}"),
    ]
