"""The steps of diffusion in float64, random schedules, and typical mistakes."""

from torch import Tensor

from autograder.checks.base import Draw

Pair = tuple[Tensor, Tensor]  # abar_t, abar_prev
ETA = "eta has no effect: at eta 0, sigma is 0 everywhere, under the square root too;"
ONE_MINUS_ROOT = "1 - sqrt(abar) is not sqrt(1 - abar): subtract first, then take the root"
NOISE_FOR_EPS = "x0_hat must subtract eps, the prediction, and not `noise`"
SWAPPED = (
    "eps and noise are swapped: eps is the old noise, in x0_hat and under sqrt(1 - abar_prev - "
    "sigma^2), and noise is the fresh draw, scaled by sigma"
)
SHAPES = ((2, 1, 3, 4), (3, 4), (1, 5))  # images, latents, a batch of one


def draw_schedule(draw: Draw, steps: int = 10) -> tuple[Tensor, Tensor]:
    """Return betas and abar, (T,); in float32 such large betas still separate all formulas."""
    betas = draw.uniform(steps, low=0.05, high=0.25)
    return betas, (1 - betas).cumprod(0)


def draw_pairs(draw: Draw) -> list[Pair]:
    """Return abar at (t, previous kept t): neighbours, a small and a wide gap, all 0-d."""
    abar = draw_schedule(draw)[1]
    starts = (1 + draw.order(4)).tolist()
    return [(abar[i + gap], abar[i]) for i, gap in zip(starts, (1, 2, 5), strict=False)]


def draw_x(draw: Draw, *shape: int) -> Tensor:
    """Return x_t with one entry of +-16, so that clipping always shows."""
    x_t = 2 * draw.signed(*shape)
    x_t.view(-1)[0] = 16 * x_t.view(-1)[0].sign()
    return x_t


def predict_x0(x_t: Tensor, eps: Tensor, abar_t: Tensor) -> Tensor:
    """Return x0_hat, in float64."""
    return (x_t.double() - (1 - abar_t.double()).sqrt() * eps) / abar_t.double().sqrt()


def ddim_sigma(abar_t: Tensor, abar_prev: Tensor, eta: float) -> Tensor:
    """Return sigma (Song et al., eq. 16), in float64."""
    a, p = abar_t.double(), abar_prev.double()
    return eta * ((1 - p) / (1 - a) * (1 - a / p)).sqrt()


def ddim_step(x_t: Tensor, eps: Tensor, pair: Pair, eta: float, noise: Tensor) -> Tensor:
    """Return x_prev (Song et al., eq. 12), in float64."""
    p, sigma = pair[1].double(), ddim_sigma(*pair, eta)
    mean = p.sqrt() * predict_x0(x_t, eps, pair[0]) + (1 - p - sigma**2).sqrt() * eps
    return mean + sigma * noise


def posterior_mean(x0_hat: Tensor, x_t: Tensor, beta: Tensor, pair: Pair) -> Tensor:
    """Return the mean of the posterior (Ho et al., eq. 7), in float64."""
    a, p, beta = pair[0].double(), pair[1].double(), beta.double()
    return (p.sqrt() * beta * x0_hat + (1 - beta).sqrt() * (1 - p) * x_t) / (1 - a)


def posterior_variance(beta: Tensor, pair: Pair) -> Tensor:
    """Return the variance of the posterior (Ho et al., eq. 7), in float64."""
    a, p = pair[0].double(), pair[1].double()
    return beta.double() * (1 - p) / (1 - a)


def ddpm_step(x_t: Tensor, eps: Tensor, beta: Tensor, pair: Pair, noise: Tensor) -> Tensor:
    """Return x_{t-1}, drawn with the variance of the posterior, in float64."""
    mean = posterior_mean(predict_x0(x_t, eps, pair[0]), x_t, beta, pair)
    return mean + posterior_variance(beta, pair).sqrt() * noise


def ddpm_mean_mistakes(x: Tensor, eps: Tensor, beta: Tensor, pair: Pair) -> list[tuple]:
    """Return typical wrong means of a DDPM step, each with its hint."""
    a, p, b = (v.double() for v in (*pair, beta))
    x, eps, root = x.double(), eps.double(), (1 - b).sqrt()
    x0 = predict_x0(x, eps, a)
    by_abar = "divide eps by sqrt(1 - abar_t), with the cumulative abar"
    return [
        (x0, "this is x0_hat itself: one step goes only from x_t to x_{t-1}"),
        (eps, "this is eps itself: the step removes it from x_t"),
        (p.sqrt() * x0, "the second term of the posterior mean, the one with x_t, is missing"),
        (p.sqrt() * x0 + (1 - p).sqrt() * eps, "this is the DDIM step at eta 0, not the DDPM mean"),
        *(
            (posterior_mean(x0.clamp(-c, c), x, b, (a, p)), "do not clip x0_hat in this cell")
            for c in (1, 2, 3, 5, 10)
        ),
        (
            posterior_mean((x - (1 - a.sqrt()) * eps) / a.sqrt(), x, b, (a, p)),
            f"in x0_hat, {ONE_MINUS_ROOT}",
        ),
        (posterior_mean(x / a.sqrt(), x, b, (a, p)), NOISE_FOR_EPS),
        (
            posterior_mean(x / a.sqrt(), x, b, (a, p)) + posterior_variance(b, (a, p)).sqrt() * eps,
            f"eps and noise are swapped: {NOISE_FOR_EPS}",
        ),
        (posterior_mean(eps, x, b, (a, p)), "eps is not x0_hat: compute x0_hat from x_t and eps"),
        (posterior_mean(x, x0, b, (a, p)), "x0_hat and x_t are swapped in the posterior mean"),
        (posterior_mean(x0, x, b, (a, a)), "the posterior mean needs abar[t - 1] as well"),
        (x - b / (1 - a).sqrt() * eps, "divide by sqrt(alpha_t) = sqrt(1 - beta_t) at the end"),
        ((x - b / (1 - a).sqrt() * eps) * root, "divide by sqrt(alpha_t), do not multiply"),
        ((x - b / (1 - a).sqrt() * eps) / (1 - b), "a sqrt is missing: divide by sqrt(alpha_t)"),
        ((x - b / (1 - a).sqrt() * eps) / a.sqrt(), "divide by sqrt(alpha_t), not sqrt(abar_t)"),
        ((x - b * eps) / root, f"do not scale eps by beta_t alone: {by_abar}"),
        ((x - b / (1 - a) * eps) / root, f"a sqrt is missing: {by_abar}"),
        ((x - b.sqrt() * eps) / root, f"you used beta_t or alpha_t instead of abar_t: {by_abar}"),
        ((x - b / (1 - p).sqrt() * eps) / root, "you used abar[t - 1] instead of abar[t]"),
        ((x + b / (1 - a).sqrt() * eps) / root, "you added eps: subtract it from x_t"),
        (x / root, "eps has no effect on the result"),
    ]


def ddpm_scale_mistakes(beta: Tensor, pair: Pair) -> list[tuple]:
    """Return typical wrong scales of the noise of a DDPM step, each with its hint."""
    a, p, b = (v.double() for v in (*pair, beta))
    variance = posterior_variance(b, (a, p))
    tilde = "sigma_t^2 is the posterior variance, beta_t (1 - abar_{t-1}) / (1 - abar_t)"
    return [
        (0 * b, "no noise is added: leave it out at t = 0 only"),
        (b / b, f"you added the noise unscaled: multiply it by sigma_t; {tilde}"),
        (variance, f"this is the variance: take its square root; {tilde}"),
        (b.sqrt(), f"this is sqrt(beta_t), another choice of sigma_t; here {tilde}"),
        (b, f"this is beta_t: {tilde}"),
        (b.sqrt() * (1 - p) / (1 - a), f"take the square root of the whole fraction: {tilde}"),
        (b * ((1 - p) / (1 - a)).sqrt(), f"take the square root of beta_t too: {tilde}"),
        ((b * (1 - a) / (1 - p)).sqrt(), f"the fraction is upside down: {tilde}"),
        (((1 - p) / (1 - a)).sqrt(), f"beta_t is missing: {tilde}"),
        ((b * (1 - p)).sqrt(), f"the denominator is missing: {tilde}"),
        ((b * p / a).sqrt(), f"use 1 - abar in place of each abar: {tilde}"),
        ((1 - a).sqrt(), f"this is all the noise in x_t, not the noise of one step: {tilde}"),
        ((1 - p).sqrt(), f"this is all the noise in x_t, not the noise of one step: {tilde}"),
        (-variance.sqrt(), "you subtracted sigma_t * noise: add it"),
        ((variance / 2).exp(), f"take the square root of the variance, no exponential: {tilde}"),
        (-b * (p / a / (1 - a)).sqrt(), NOISE_FOR_EPS),
    ]


def sigma_mistakes(abar_t: Tensor, abar_prev: Tensor) -> list[tuple]:
    """Return typical wrong values of sigma at eta 1, each with its hint."""
    a, p = abar_t.double(), abar_prev.double()
    first, second = (1 - p) / (1 - a), 1 - a / p
    both = "sigma = eta sqrt((1 - abar_prev) / (1 - abar_t)) sqrt(1 - abar_t / abar_prev)"
    return [
        (0 * a, "sigma is zero at eta 1: it must be zero only at eta 0"),
        (first * second, f"this is sigma^2: the square root is missing; {both}"),
        (first.sqrt() * second, f"the second factor is outside the square root: {both}"),
        (first * second.sqrt(), f"the first factor is outside the square root: {both}"),
        (first.sqrt(), f"the factor sqrt(1 - abar_t / abar_prev) is missing: {both}"),
        (second.sqrt(), f"the factor sqrt((1 - abar_prev) / (1 - abar_t)) is missing: {both}"),
        ((second / first).sqrt(), f"the first fraction is upside down: {both}"),
        ((p / a * second).sqrt(), f"use 1 - abar, not abar, in the first fraction: {both}"),
        ((first * (1 - a)).sqrt(), f"use 1 - abar_t / abar_prev instead of 1 - abar_t: {both}"),
        ((first * (p - a)).sqrt(), f"divide the difference by abar_prev: {both}"),
        (first.sqrt() + second.sqrt(), f"multiply the two square roots: {both}"),
        (-(first * second).sqrt(), "the sign is wrong: a standard deviation is never negative"),
        (
            ((1 - p.sqrt()) / (1 - a.sqrt()) * second).sqrt(),
            f"1 - sqrt(abar) stands where 1 - abar belongs: {both}",
        ),
        ((first * second).sqrt() / 2, f"there is a factor 1/2 too many: {both}"),
    ]


def x0_mistakes(x_t: Tensor, eps: Tensor, abar_t: Tensor, noise: Tensor) -> list[tuple]:
    """Return typical wrong values of x0_hat, each with its hint."""
    a, x, eps = abar_t.double(), x_t.double(), eps.double()
    noise_part, formula = (1 - a).sqrt() * eps, "x0_hat solves the forward process for x0"
    return [
        (eps, "on the last step you return eps: x0_hat and eps are swapped"),
        (x, "on the last step you return x_t: return x0_hat, without the noise"),
        (x - noise_part, f"divide by sqrt(abar_t): {formula}"),
        (x - noise_part / a.sqrt(), f"divide the whole difference by sqrt(abar_t): {formula}"),
        ((x - noise_part) * a.sqrt(), f"divide by sqrt(abar_t), do not multiply: {formula}"),
        ((x - noise_part) / a, f"a sqrt is missing: divide by sqrt(abar_t); {formula}"),
        ((x - (1 - a) * eps) / a.sqrt(), f"a sqrt is missing: use sqrt(1 - abar_t) eps; {formula}"),
        ((x - (1 - a) * eps) / a, f"both square roots are missing: {formula}"),
        ((x + noise_part) / a.sqrt(), f"you added eps: subtract it from x_t; {formula}"),
        ((x - a.sqrt() * eps) / (1 - a).sqrt(), f"the two scales are swapped: {formula}"),
        ((x - eps) / a.sqrt(), f"scale eps by sqrt(1 - abar_t): {formula}"),
        ((x - (1 - a.sqrt()) * eps) / a.sqrt(), f"{ONE_MINUS_ROOT}; {formula}"),
        ((x - noise_part) / (1 - a).sqrt(), f"divide by sqrt(abar_t): {formula}"),
        (predict_x0(x, noise, a), "x0_hat is computed with `noise`, the fresh draw: it needs eps"),
        (predict_x0(x, eps, a) + noise_part, "on the last step eps has no share: use abar_prev"),
        (0 * x, "the last step must return x0_hat, but it returns zero"),
    ]


def eta_zero_mistakes(
    x_t: Tensor, eps: Tensor, pair: Pair, x0: Tensor, noise: Tensor
) -> list[tuple]:
    """Return the results of typical wrong steps at eta 0 from this x0_hat, each with its hint."""
    a, p = (v.double() for v in pair)
    eps, right = eps.double(), "x_prev = sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev) eps"
    return [
        (p.sqrt() * x0, f"the direction along eps is missing: {right}"),
        (x0 + (1 - p).sqrt() * eps, f"scale x0_hat by sqrt(abar_prev): {right}"),
        (p * x0 + (1 - p).sqrt() * eps, f"a sqrt of abar_prev is missing: {right}"),
        (p.sqrt() * x0 + (1 - p) * eps, f"a sqrt of 1 - abar_prev is missing: {right}"),
        (p * x0 + (1 - p) * eps, f"both square roots are missing: {right}"),
        (p.sqrt() * x0 + (1 - a).sqrt() * eps, f"you used abar_t instead of abar_prev: {right}"),
        (a.sqrt() * x0 + (1 - p).sqrt() * eps, f"you used abar_t instead of abar_prev: {right}"),
        (x_t.double(), f"this is x_t again: use abar_prev in both scales; {right}"),
        ((p.sqrt() + (1 - p).sqrt()) * x0, f"x0_hat stands where eps belongs: {right}"),
        ((1 - p).sqrt() * x0 + p.sqrt() * eps, f"the two scales are swapped: {right}"),
        (p.sqrt() * eps + (1 - p).sqrt() * x0, f"x0_hat and eps are swapped: {right}"),
        (p.sqrt() * x0 - (1 - p).sqrt() * eps, f"you subtracted the direction along eps: {right}"),
        (p.sqrt() * x0 + (1 - p - ddim_sigma(a, p, 1.0) ** 2).sqrt() * eps, f"{ETA} {right}"),
        (p.sqrt() * x0 + (1 - p.sqrt()) * eps, f"{ONE_MINUS_ROOT}; {right}"),
        (p.sqrt() * x0 + (1 - p).sqrt() * noise, SWAPPED),
    ]


def scale_mistakes(pair: Pair, eta: float) -> list[tuple]:
    """Return typical wrong scales of the noise of a DDIM step, each with its hint."""
    sigma, full = ddim_sigma(*pair, eta), ddim_sigma(*pair, 1.0)
    a, p = (v.double() for v in pair)
    return [
        (0 * sigma, "the noise has no effect at eta > 0: add sigma * noise"),
        (sigma**2, "scale the noise by sigma, not by its square"),
        (sigma / sigma, "you added the noise unscaled: multiply it by sigma"),
        (sigma / sigma * eta, "you scaled the noise by eta alone: multiply it by sigma"),
        (full, "eta has no effect on the noise: pass it to ddim_sigma"),
        (eta * sigma, "eta is applied twice: sigma already contains it"),
        (sigma.sqrt(), "scale the noise by sigma, not by its square root"),
        (-sigma, "you subtracted sigma * noise: add it"),
        (eta**0.5 * full, "eta is inside the square root of sigma: it belongs in front of it"),
        ((1 - p - sigma**2).sqrt(), SWAPPED),
        ((1 - p).sqrt(), f"the scale sqrt(1 - abar_prev) belongs to eps: {SWAPPED}"),
        (sigma - (p * (1 - a) / a).sqrt(), "x0_hat is computed with `noise`: it needs eps"),
        ((1 - p - sigma**2).sqrt() - (p * (1 - a) / a).sqrt(), SWAPPED),
    ] + [(eta * scale, hint) for scale, hint in sigma_mistakes(*pair)]


def direction_mistakes(pair: Pair, eta: float) -> list[tuple]:
    """Return typical wrong changes of the coefficient of eps at eta > 0, each with its hint."""
    p, sigma, full = pair[1].double(), ddim_sigma(*pair, eta), ddim_sigma(*pair, 1.0)
    root, right = (1 - p).sqrt(), "the coefficient of eps is sqrt(1 - abar_prev - sigma^2)"
    return [
        (
            -root,
            "eps has no effect at eta > 0: its term is missing, "
            "or a clamp hides that sigma is too large",
        ),
        (0 * p, f"the coefficient of eps does not change with eta: {right}"),
        (-sigma, f"sigma is outside the square root: {right}"),
        (-(sigma**2), f"sigma^2 is outside the square root: {right}"),
        ((1 - p - sigma).clamp(min=0).sqrt() - root, f"sigma must be squared: {right}"),
        ((1 - p + sigma**2).sqrt() - root, f"you added sigma^2: subtract it; {right}"),
        ((1 - p - full**2).sqrt() - root, f"the sigma under the root lacks eta: {right}"),
        ((1 - p - (eta * sigma) ** 2).sqrt() - root, f"eta is applied twice: {right}"),
        (
            (1 - p - eta * full**2).sqrt() - root,
            "eta is inside the square root of sigma: it belongs in front of it",
        ),
        (sigma, SWAPPED),
    ]
