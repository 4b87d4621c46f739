"""The KL divergence of a Gaussian from the standard normal, and typical mistakes in it."""

from torch import Tensor

from autograder.checks.base import diagnose

FORMULA = "each entry must be (mu^2 + sigma^2 - 1 - logvar) / 2, with sigma^2 = exp(logvar)"


def kl_entries(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the KL of N(mu, exp(logvar)) from N(0, 1) for each entry, in float64."""
    mu, logvar = mu.double(), logvar.double()
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)


def diagnose_kl(got: Tensor, mu: Tensor, logvar: Tensor) -> str:
    """Return the hint for the wrong entries `got`; all three have the same shape."""
    right, m, v = kl_entries(mu, logvar), mu.double(), logvar.double()
    variance = "logvar is log sigma^2, so sigma^2 = exp(logvar)"

    def with_variance(wrong: Tensor) -> Tensor:
        return right + (wrong - v.exp()) / 2

    mistakes = [
        (-right, "the sign is wrong: a KL divergence is never negative"),
        (2 * right, "the factor 1/2 is missing"),
        (right / 2, "a factor 1/2 is applied twice"),
        (right + 0.5, "the term -1 is missing"),
        (right + 1, "1 is added: the bracket is mu^2 + sigma^2 - 1 - logvar"),
        (
            2 * right - m**2 / 2,
            "the factor 1/2 belongs before the whole bracket, not before mu^2 only",
        ),
        (right - (m**2 - m.abs()) / 2, "mu must be squared: do not take its absolute value"),
        (with_variance((2 * v).exp()) - v / 2, f"logvar is doubled: {variance}"),
        (right - (m**2 - m) / 2, "mu must be squared"),
        (right - m**2 / 2, "the term mu^2 is missing"),
        (right + v / 2, "the term -logvar is missing"),
        (right + v, "logvar has the wrong sign: the bracket is mu^2 + sigma^2 - 1 - logvar"),
        (with_variance(0 * v), "the term sigma^2 = exp(logvar) is missing"),
        (with_variance((v / 2).exp()), f"you used sigma instead of sigma^2: {variance}"),
        (with_variance((2 * v).exp()), f"you squared the variance: {variance}"),
        (with_variance(v**2), f"you squared logvar: {variance}"),
        (with_variance(v), f"you left out the exponential: {variance}"),
        (kl_entries(m * (-v / 2).exp(), -v), "this is KL(prior || q): compute KL(q || prior)"),
    ]
    return diagnose(got, mistakes, FORMULA)
