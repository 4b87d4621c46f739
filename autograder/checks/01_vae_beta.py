"""Checks of notebook 01: reparameterisation, KL divergence and the loss of the VAE."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    as_tensor,
    behaviour,
    close,
    diagnose,
    require_finite,
    require_gradients,
    require_slopes,
)
from autograder.checks.gaussian import diagnose_kl, kl_entries
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer


class Reparameterize(Check):
    """z = mu + sigma * noise, differentiable in mu and logvar."""

    name = "reparameterize"
    points = 4
    seals = ("mnistdiff.vae:VAE.reparameterize",)

    @behaviour("z equals mu without noise, and changes with the noise", 1)
    def location(self, student: Student, draw: Draw) -> None:
        """Test that noise 0 gives mu and that other noise does not."""
        for mu, logvar, noise in self._cases(draw):
            at_zero = self._z(student, mu, logvar, 0 * noise)
            if not close(at_zero, mu):
                must = "with noise = 0 the result must be mu"
                added = mu + (logvar / 2).exp()
                mistakes = [
                    (added, "you add sigma itself: multiply it by the noise first"),
                    (0 * mu, f"{must}, but mu is not added"),
                ]
                raise WrongAnswer(diagnose(at_zero, mistakes, must))
            if close(self._z(student, mu, logvar, noise), mu):
                raise WrongAnswer("z does not change with the noise: add sigma * noise to mu")

    @behaviour("the noise is scaled by sigma = exp(logvar / 2)", 2)
    def scale(self, student: Student, draw: Draw) -> None:
        """Compare what the noise adds to z with sigma * noise."""
        log_sigma = "logvar is log sigma^2, so sigma = exp(logvar / 2)"
        for mu, logvar, noise in self._cases(draw):
            z, at_zero = (self._z(student, mu, logvar, n) for n in (noise, 0 * noise))
            scales = [
                (logvar.exp(), f"you used exp(logvar) as the standard deviation: {log_sigma}"),
                (logvar, f"you used logvar as the standard deviation: {log_sigma}"),
                (logvar / 2, f"you left out the exponential: {log_sigma}"),
                ((-logvar / 2).exp(), f"you divided by sigma or flipped a sign: {log_sigma}"),
                ((2 * logvar).exp(), f"you squared the variance: {log_sigma}"),
                (-(logvar / 2).exp(), "you subtracted sigma * noise: add it to mu"),
                (1, f"you added the noise unscaled: multiply it by sigma; {log_sigma}"),
                (0, "the noise argument has no effect: z = mu + sigma * noise"),
            ]
            moved = z - at_zero
            if not close(moved, (logvar.double() / 2).exp() * noise):
                mistakes = [(scale * noise, hint) for scale, hint in scales]
                otherwise = f"the noise must enter as sigma * noise, entry by entry; {log_sigma}"
                raise WrongAnswer(diagnose(moved, mistakes, otherwise))

    @behaviour("gradients reach mu and logvar", 1)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test the point of the trick: z can be differentiated."""
        arguments = [draw.signed(3, 4) for _ in range(3)]
        as_tensor(student.call(self.name, *arguments), (3, 4), "(B, D)")
        require_gradients(student.grad(self.name, arguments, (0, 1)), "mu", "logvar")

    def _cases(self, draw: Draw) -> list[tuple[Tensor, ...]]:
        """Return mu, logvar and noise for two batches and for a single image."""
        return [tuple(draw.signed(b, d) for _ in range(3)) for b, d in ((3, 4), (5, 5), (1, 6))]

    def _z(self, student: Student, *arguments: Tensor) -> Tensor:
        """Return z. Call twice: the noise is an argument, so both results must be equal."""
        results = [student.call(self.name, *arguments) for _ in range(2)]
        first, second = (as_tensor(z, arguments[0].shape, "(B, D)") for z in results)
        if not close(first, second):
            raise WrongAnswer(
                "two calls with the same arguments give different results: use `noise`, do not "
                "draw random numbers inside"
            )
        return first


class KLDivergence(Check):
    """The KL divergence from the prior: formula, sum over dimensions, mean over the batch."""

    name = "kl_divergence"
    points = 4
    # The sum of the second one is the first.
    seals = ("mnistdiff.vae:kl_divergence", "mnistdiff.metrics:kl_per_dimension")

    @behaviour("the formula, for one latent dimension", 1.5)
    def formula(self, student: Student, draw: Draw) -> None:
        """Use one image and one dimension, where sum and mean make no difference."""
        mu, logvar = draw.signed(4, 1), draw.signed(4, 1)
        mu[0] = logvar[0] = 0.0  # the prior itself
        got = torch.tensor([self._kl(student, m, v) for m, v in self._single(mu, logvar)])
        if not close(got, kl_entries(mu, logvar)[:, 0]):
            raise WrongAnswer(diagnose_kl(got, mu[:, 0], logvar[:, 0]))

    @behaviour("correct gradients reach mu and logvar", 0.5)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test this because a loss term without a gradient trains nothing."""
        arguments = [draw.signed(3, 2), draw.signed(3, 2)]
        self._parts(student, *arguments)
        require_slopes(student, self.name, arguments, {0: "mu", 1: "logvar"}, draw)

    @behaviour("summed over the latent dimensions", 1)
    def dimensions(self, student: Student, draw: Draw) -> None:
        """For one image, compare with the sum of the student's own values per dimension."""
        mu, logvar = draw.signed(1, 5), draw.signed(1, 5)
        parts = self._parts(student, mu.T, logvar.T)
        got = self._kl(student, mu, logvar)
        mistakes = [(parts.mean(), "sum over the latent dimensions, do not average over them")]
        if not close(got, parts.sum()):
            raise WrongAnswer(
                diagnose(got, mistakes, "sum over the latent dimensions of each image")
            )

    @behaviour("the mean over the batch, a scalar", 1)
    def batch(self, student: Student, draw: Draw) -> None:
        """Compare with the mean of the student's own values per image."""
        mu, logvar = draw.signed(4, 3), draw.signed(4, 3)
        parts = self._parts(student, mu, logvar)
        result = student.call(self.name, mu, logvar)
        require_finite(result)
        shape = getattr(result, "shape", ())
        if len(shape):
            raise WrongAnswer(
                f"expected a scalar, got shape {tuple(shape)}: average over the batch"
            )
        mistakes = [(parts.sum(), "average over the batch (dim 0), do not sum over it")]
        got = as_number(result)
        if not close(got, parts.mean()):
            raise WrongAnswer(diagnose(got, mistakes, "take the mean over the images of the batch"))

    def _kl(self, student: Student, mu: Tensor, logvar: Tensor) -> float:
        return as_number(student.call(self.name, mu, logvar))

    def _single(self, mu: Tensor, logvar: Tensor) -> zip:
        """Iterate over the rows as batches of one: pairs of (1, D)."""
        return zip(mu.split(1), logvar.split(1), strict=True)

    def _parts(self, student: Student, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the student's value for each row alone. The values must depend on the row."""
        parts = torch.tensor([self._kl(student, m, v) for m, v in self._single(mu, logvar)])
        if close(parts, parts[0].expand_as(parts)):
            raise WrongAnswer("the result does not depend on mu and logvar")
        return parts.double()


class VAELoss(Check):
    """The reconstruction term, the KL term, and the total, which weights the KL with beta."""

    name = "vae_loss"
    points = 5
    seals = ("mnistdiff.vae:vae_loss",)
    # A mistake in the cell above already costs marks there; it must not cost marks here.
    stand_ins: ClassVar = {"kl_divergence": "mnistdiff.vae:kl_divergence"}

    @behaviour('recon for "mse"', 1)
    def mse(self, student: Student, draw: Draw) -> None:
        """Compare with the squared error, summed over the pixels."""
        recon, x, mu, logvar = self._inputs(draw)
        _, got, _ = self._losses(student, recon, x, mu, logvar, 1.0, "mse")
        error = recon.double() - x.double()
        mistakes = [
            (error.abs(), "square the error, do not take its absolute value"),
            (-(error**2), "the sign is wrong: a sum of squares is never negative"),
        ]
        reduced = [
            (kl_entries(mu, logvar).sum(1).mean(), ORDER),
            (
                _cross_entropy(recon, x).sum() / len(x),
                'this is the cross-entropy: for the string "mse" recon is the squared error',
            ),
        ]
        self._compare(got, error**2, mistakes, reduced, "(recon - x)^2")

    @behaviour('recon for "bce"', 1)
    def bce(self, student: Student, draw: Draw) -> None:
        """Compare with the cross-entropy. No pixel is near 0 or 1, where clamping would matter."""
        recon, x, mu, logvar = self._inputs(draw)
        _, got, _ = self._losses(student, recon, x, mu, logvar, 1.0, "bce")
        p, t = recon.double(), x.double()
        entries = _cross_entropy(p, t)
        logits = (
            "recon holds probabilities already: use the cross-entropy without logits or sigmoid"
        )
        as_it_is = "x is the target as it is: do not round it"
        mistakes = [
            ((p - t) ** 2, 'you returned the squared error: "bce" stands for binary cross-entropy'),
            (F.binary_cross_entropy_with_logits(p, t, reduction="none"), logits),
            (-(p * t.log() + (1 - p) * (1 - t).log()), "recon and x are swapped"),
            (-t * p.log(), "the part for dark pixels, (1 - x) log(1 - recon), is missing"),
            (-entries, "the sign is wrong: a cross-entropy is positive"),
            (_cross_entropy(p, t.round()), as_it_is),
        ]
        reduced = [
            (kl_entries(mu, logvar).sum(1).mean(), ORDER),
            (0.0, "recon is 0, as F.cross_entropy gives it: a pixel needs F.binary_cross_entropy"),
        ]
        entry = "-(x log(recon) + (1 - x) log(1 - recon))"
        self._compare(got, entries, mistakes, reduced, entry)

    @behaviour("kl, without beta", 1)
    def kl(self, student: Student, draw: Draw) -> None:
        """Use a beta other than 1, which must not be part of the third result."""
        recon, x, mu, logvar = self._inputs(draw)
        total, _, got = self._losses(student, recon, x, mu, logvar, 2.5, "mse")
        entries = kl_entries(mu, logvar)
        twice = "you averaged over the batch twice: kl_divergence does it already"
        mistakes = [
            (((recon.double() - x) ** 2).sum() / len(x), ORDER),
            (entries.sum(1).mean() / len(mu), twice),
            (entries.mean(), "sum the KL over the latent dimensions, do not average over them"),
            (entries.sum(), "average the KL over the batch, do not sum over it"),
            (
                entries.sum(0).mean(),
                "sum the KL over the latent dimensions and average it over the batch, not the "
                "other way round",
            ),
            (
                2.5 * entries.sum(1).mean(),
                "return the KL without beta: beta is part of the total only",
            ),
            (-entries.sum(1).mean(), "the sign of the KL is wrong: it is never negative"),
            (total, ORDER),
        ]
        if not close(got, entries.sum(1).mean()):
            raise WrongAnswer(
                diagnose(got, mistakes, "kl must be the value that kl_divergence returns")
            )

    @behaviour("total = recon + beta * kl", 1)
    def weighing(self, student: Student, draw: Draw) -> None:
        """Compare with the student's own recon and kl, for several values of beta."""
        inputs = self._inputs(draw)
        for beta, loss_type in ((0.2, "mse"), (4.0, "mse"), (2.5, "bce"), (0.0, "mse")):
            total, recon, kl = self._losses(student, *inputs, beta, loss_type)
            if beta and 0 in (recon, kl):
                raise WrongAnswer(
                    "recon or kl is exactly zero, which is impossible for these inputs"
                )
            # A third result that includes beta costs its own point; it must not cost this one too.
            true_kl = float(kl_entries(*inputs[2:]).sum(1).mean())
            swapped = [(beta * recon + kl, ORDER)] if close(recon, true_kl) else []
            mistakes = [
                *swapped,
                (recon + kl, "beta is ignored: total = recon + beta * kl"),
                (beta * recon + kl, "multiply the KL by beta, not the reconstruction"),
                (beta * (recon + kl), "multiply only the KL by beta"),
                (recon - beta * kl, "you subtracted the KL: add it"),
                (recon + kl / (beta or 1), "you divided the KL by beta: multiply it"),
                (recon + beta**2 * kl, "beta is applied twice: return kl without beta"),
            ]
            if not any(close(total, recon + beta * value) for value in (kl, true_kl)):
                otherwise = "total must be your recon plus beta times your kl"
                raise WrongAnswer(diagnose(total, mistakes, otherwise))

    @behaviour("gradients of total reach recon, mu and logvar", 1)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test this for both losses, because without gradients nothing can be trained."""
        names = {0: "recon", 2: "mu", 3: "logvar"}
        for loss_type in ("mse", "bce"):
            arguments = [*self._inputs(draw), 2.0, loss_type]
            self._losses(student, *arguments)
            require_slopes(student, (self.name, 0), arguments, names, draw)

    def _inputs(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return recon and x (3, 1, 28, 28), away from 0 and 1; mu and logvar (3, 5)."""
        # In these ranges the typical wrong terms differ by at least 14 % from the right ones.
        recon = draw.uniform(3, 1, 28, 28, low=0.2, high=0.6)
        x = draw.uniform(3, 1, 28, 28, low=0.05, high=0.4)
        return recon, x, draw.signed(3, 5), draw.signed(3, 5)

    def _losses(self, student: Student, *arguments: object) -> list[float]:
        """Return the three results as numbers."""
        result = student.call(self.name, *arguments)
        if not isinstance(result, list) or len(result) != 3:
            raise WrongAnswer("return three results, in this order: total, recon, kl")
        return [
            as_number(v, name) for v, name in zip(result, ("total", "recon", "kl"), strict=True)
        ]

    def _compare(
        self, got: float, entries: Tensor, mistakes: list, reduced: list, entry: str
    ) -> None:
        """Raise WrongAnswer unless recon sums `entries` over pixels and averages over the batch.

        `mistakes` holds wrong entries, `reduced` wrong sums; `entry` is the formula of an entry.
        """
        right = entries.sum() / len(entries)
        pixels = "recon is a sum over the pixels of an image and a mean over the batch"
        reductions = [
            (entries.mean(), f"you averaged over the pixels too: {pixels}"),
            (entries.sum(), f"you summed over the batch too: {pixels}"),
            (entries.sum(0).mean(), f"sum and mean are the wrong way round: {pixels}"),
            (
                right / 2,
                "recon has a factor 1/2 that the definition does not have (F.huber_loss and "
                "F.smooth_l1_loss have one too)",
            ),
            (right.sqrt(), "take no square root: recon is the sum itself"),
        ]
        wrong = [(value.sum() / len(value), hint) for value, hint in mistakes]
        wrong += [(value.mean(), f"{hint}; and {pixels}") for value, hint in mistakes]
        if not close(got, right):
            raise WrongAnswer(
                diagnose(got, reductions + reduced + wrong, f"{pixels}, here of {entry}")
            )


ORDER = "return the results in the order total, recon, kl"


def _cross_entropy(p: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of each pixel, in float64."""
    p, target = p.double(), target.double()
    return -(target * p.log() + (1 - target) * (1 - p).log())
