"""Checks of notebook 01: reparameterisation, KL divergence and the VAE's loss."""

from typing import Any, ClassVar

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
    require_gradients,
    require_slopes,
)
from autograder.checks.gaussian import diagnose_kl, kl_entries
from autograder.inside.student import WrongAnswer


class Reparameterize(Check):
    """z = mu + sigma * noise, differentiable in mu and logvar."""

    name = "reparameterize"
    points = 4
    seals = ("mnistdiff.vae:VAE.reparameterize",)

    @behaviour("z is centred on mu and moved by the noise", 1)
    def location(self, student: Any, draw: Draw) -> None:
        """Noise 0 gives mu; other noise does not."""
        for mu, logvar, noise in self._cases(draw):
            at_zero = self._z(student, mu, logvar, 0 * noise)
            if not close(at_zero, mu):
                must = "with noise = 0 the latent must be mu itself"
                added = mu + (logvar / 2).exp()
                mistakes = [
                    (added, "you add sigma itself: multiply it by the noise first"),
                    (0 * mu, f"{must}: mu is not added"),
                ]
                raise WrongAnswer(diagnose(at_zero, mistakes, must))
            if close(self._z(student, mu, logvar, noise), mu):
                raise WrongAnswer("z does not change with the noise: add sigma * noise to mu")

    @behaviour("the noise is scaled by sigma = exp(logvar / 2)", 2)
    def scale(self, student: Any, draw: Draw) -> None:
        """What the noise adds to z."""
        log_sigma = "logvar is log sigma^2, so sigma = exp(logvar / 2)"
        for mu, logvar, noise in self._cases(draw):
            z, at_zero = (self._z(student, mu, logvar, n) for n in (noise, 0 * noise))
            scales = [
                (logvar.exp(), f"you used exp(logvar) as the standard deviation: {log_sigma}"),
                (logvar, f"you used logvar as the standard deviation: {log_sigma}"),
                (logvar / 2, f"you left out the exponential: {log_sigma}"),
                ((-logvar / 2).exp(), f"you divided by sigma or flipped a sign: {log_sigma}"),
                ((2 * logvar).exp(), f"you squared the variance: {log_sigma}"),
                (-(logvar / 2).exp(), "sigma * noise is added to mu, not subtracted"),
                (1, f"the noise is added as it is: multiply it by sigma; {log_sigma}"),
                (0, "the noise argument has no influence: z = mu + sigma * noise"),
            ]
            moved = z - at_zero
            if not close(moved, (logvar.double() / 2).exp() * noise):
                mistakes = [(scale * noise, hint) for scale, hint in scales]
                otherwise = f"the noise must enter as sigma * noise, entry by entry; {log_sigma}"
                raise WrongAnswer(diagnose(moved, mistakes, otherwise))

    @behaviour("gradients reach mu and logvar", 1)
    def gradient(self, student: Any, draw: Draw) -> None:
        """The point of the trick: z can be differentiated."""
        arguments = [draw.signed(3, 4) for _ in range(3)]
        as_tensor(student.call(self.name, *arguments), (3, 4), "(B, D)")
        require_gradients(student.grad(self.name, arguments, (0, 1)), "mu", "logvar")

    def _cases(self, draw: Draw) -> list[tuple[Tensor, ...]]:
        """mu, logvar and noise of a batch, of another, and of a single image."""
        return [tuple(draw.signed(b, d) for _ in range(3)) for b, d in ((3, 4), (5, 5), (1, 6))]

    def _z(self, student: Any, *arguments: Tensor) -> Tensor:
        """One call, repeated: the noise is an argument, so nothing may be drawn inside."""
        results = [student.call(self.name, *arguments) for _ in range(2)]
        first, second = (as_tensor(z, arguments[0].shape, "(B, D)") for z in results)
        if not close(first, second):
            raise WrongAnswer(
                "two calls on the same arguments differ: use `noise`, draw nothing inside"
            )
        return first


class KLDivergence(Check):
    """The KL divergence from the prior: formula, sum over dimensions, mean over the batch."""

    name = "kl_divergence"
    points = 4
    # The second one summed up is the first.
    seals = ("mnistdiff.vae:kl_divergence", "mnistdiff.metrics:kl_per_dimension")

    @behaviour("the formula, for one latent number", 1.5)
    def formula(self, student: Any, draw: Draw) -> None:
        """One image and one dimension, where no reduction matters."""
        mu, logvar = draw.signed(4, 1), draw.signed(4, 1)
        mu[0] = logvar[0] = 0.0  # the prior itself
        got = torch.tensor([self._kl(student, m, v) for m, v in self._single(mu, logvar)])
        if not close(got, kl_entries(mu, logvar)[:, 0]):
            raise WrongAnswer(diagnose_kl(got, mu[:, 0], logvar[:, 0]))

    @behaviour("gradients reach mu and logvar whole", 0.5)
    def gradient(self, student: Any, draw: Draw) -> None:
        """A loss term that cannot be differentiated trains nothing."""
        arguments = [draw.signed(3, 2), draw.signed(3, 2)]
        self._parts(student, *arguments)
        require_slopes(student, self.name, arguments, {0: "mu", 1: "logvar"}, draw)

    @behaviour("summed over the latent dimensions", 1)
    def dimensions(self, student: Any, draw: Draw) -> None:
        """One image: the sum of what the student's own code gives for each dimension."""
        mu, logvar = draw.signed(1, 5), draw.signed(1, 5)
        parts = self._parts(student, mu.T, logvar.T)
        got = self._kl(student, mu, logvar)
        mistakes = [(parts.mean(), "sum over the latent dimensions, do not average over them")]
        if not close(got, parts.sum()):
            raise WrongAnswer(
                diagnose(got, mistakes, "for one image, sum over the latent dimensions")
            )

    @behaviour("averaged over the batch, to a scalar", 1)
    def batch(self, student: Any, draw: Draw) -> None:
        """The mean of what the student's own code gives for each image."""
        mu, logvar = draw.signed(4, 3), draw.signed(4, 3)
        parts = self._parts(student, mu, logvar)
        result = student.call(self.name, mu, logvar)
        shape = getattr(result, "shape", ())
        if len(shape):
            raise WrongAnswer(
                f"expected a scalar, got shape {tuple(shape)}: average over the batch"
            )
        mistakes = [(parts.sum(), "average over the batch (dim 0), do not sum over it")]
        got = as_number(result)
        if not close(got, parts.mean()):
            raise WrongAnswer(diagnose(got, mistakes, "over the images of a batch take the mean"))

    def _kl(self, student: Any, mu: Tensor, logvar: Tensor) -> float:
        return as_number(student.call(self.name, mu, logvar))

    def _single(self, mu: Tensor, logvar: Tensor) -> zip:
        """The rows, each kept as a batch of one: pairs of (1, D)."""
        return zip(mu.split(1), logvar.split(1), strict=True)

    def _parts(self, student: Any, mu: Tensor, logvar: Tensor) -> Tensor:
        """The student's value for each row alone, which must depend on the row."""
        parts = torch.tensor([self._kl(student, m, v) for m, v in self._single(mu, logvar)])
        if close(parts, parts[0].expand_as(parts)):
            raise WrongAnswer("the result does not depend on mu and logvar")
        return parts.double()


class VAELoss(Check):
    """Reconstruction term, KL term, and the total that weighs them with beta."""

    name = "vae_loss"
    points = 5
    seals = ("mnistdiff.vae:vae_loss",)
    # A mistake in the cell above costs its marks there, not here a second time.
    stand_ins: ClassVar = {"kl_divergence": "mnistdiff.vae:kl_divergence"}

    @behaviour('recon for "mse"', 1)
    def mse(self, student: Any, draw: Draw) -> None:
        """Against the sum over pixels of the squared error."""
        recon, x, mu, logvar = self._inputs(draw)
        _, got, _ = self._losses(student, recon, x, mu, logvar, 1.0, "mse")
        error = recon.double() - x.double()
        mistakes = [
            (error.abs(), "square the error, do not take its size"),
            (kl_entries(mu, logvar), "the order of the results is total, recon, kl"),
        ]
        self._compare(got, error**2, mistakes)

    @behaviour('recon for "bce"', 1)
    def bce(self, student: Any, draw: Draw) -> None:
        """Against the cross-entropy, with no pixel near 0 or 1, where clamping would matter."""
        recon, x, mu, logvar = self._inputs(draw)
        _, got, _ = self._losses(student, recon, x, mu, logvar, 1.0, "bce")
        p, t = recon.double(), x.double()
        entries = -(t * p.log() + (1 - t) * (1 - p).log())
        logits = "recon holds probabilities already: use the cross-entropy that takes no logits"
        mistakes = [
            ((p - t) ** 2, 'you returned the squared error: loss_type "bce" asks for another term'),
            (F.binary_cross_entropy_with_logits(p, t, reduction="none"), logits),
            (-(p * t.log() + (1 - p) * (1 - t).log()), "recon and x are swapped"),
            (-t * p.log(), "the part for dark pixels, (1 - x) log(1 - recon), is missing"),
            (-entries, "the sign is wrong: a cross-entropy is positive"),
        ]
        self._compare(got, entries, mistakes)

    @behaviour("kl, without beta", 1)
    def kl(self, student: Any, draw: Draw) -> None:
        """With a beta other than 1, which must not be part of the third result."""
        recon, x, mu, logvar = self._inputs(draw)
        total, _, got = self._losses(student, recon, x, mu, logvar, 2.5, "mse")
        entries = kl_entries(mu, logvar)
        mistakes = [
            (entries.mean(), "sum the KL over the latent dimensions, do not average over them"),
            (entries.sum(), "average the KL over the batch, do not sum over it"),
            (2.5 * entries.sum(1).mean(), "return the KL itself: beta belongs to the total only"),
            (-entries.sum(1).mean(), "the sign of the KL is wrong: it is never negative"),
            (total, "the order of the results is total, recon, kl"),
        ]
        if not close(got, entries.sum(1).mean()):
            raise WrongAnswer(
                diagnose(got, mistakes, "kl must be what the cell kl_divergence asks for")
            )

    @behaviour("total = recon + beta * kl", 1)
    def weighing(self, student: Any, draw: Draw) -> None:
        """For several beta, out of the recon and kl that the student returns."""
        inputs = self._inputs(draw)
        for beta, loss_type in ((0.2, "mse"), (4.0, "mse"), (2.5, "bce"), (0.0, "mse")):
            total, recon, kl = self._losses(student, *inputs, beta, loss_type)
            if beta and 0 in (recon, kl):
                raise WrongAnswer("recon or kl is exactly zero, on inputs where neither can be")
            mistakes = [
                (recon + kl, "beta is ignored: total = recon + beta * kl"),
                (beta * recon + kl, "beta weighs the KL, not the reconstruction"),
                (beta * (recon + kl), "beta weighs the KL only"),
                (recon - beta * kl, "the KL is added, not subtracted"),
                (recon + kl / (beta or 1), "the KL is multiplied by beta, not divided"),
                (recon + beta**2 * kl, "beta is applied twice: return kl without beta"),
            ]
            # A third result with beta in it costs its own point, not this one too.
            true_kl = float(kl_entries(*inputs[2:]).sum(1).mean())
            if not any(close(total, recon + beta * value) for value in (kl, true_kl)):
                otherwise = "total must be your recon plus beta times your kl"
                raise WrongAnswer(diagnose(total, mistakes, otherwise))

    @behaviour("gradients of total reach recon, mu and logvar", 1)
    def gradient(self, student: Any, draw: Draw) -> None:
        """Without them nothing can be trained, with either loss."""
        names = {0: "recon", 2: "mu", 3: "logvar"}
        for loss_type in ("mse", "bce"):
            arguments = [*self._inputs(draw), 2.0, loss_type]
            self._losses(student, *arguments)
            require_slopes(student, (self.name, 0), arguments, names, draw)

    def _inputs(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """recon and x (3, 1, 28, 28), away from 0 and 1; mu and logvar (3, 5)."""
        # In these ranges the typical wrong terms lie at least 14 % from the right ones.
        recon = draw.uniform(3, 1, 28, 28, low=0.2, high=0.6)
        x = draw.uniform(3, 1, 28, 28, low=0.05, high=0.4)
        return recon, x, draw.signed(3, 5), draw.signed(3, 5)

    def _losses(self, student: Any, *arguments: object) -> list[float]:
        """The three results as numbers."""
        result = student.call(self.name, *arguments)
        if not isinstance(result, list) or len(result) != 3:
            raise WrongAnswer("return three results, in this order: total, recon, kl")
        return [
            as_number(v, name) for v, name in zip(result, ("total", "recon", "kl"), strict=True)
        ]

    def _compare(self, got: float, entries: Tensor, mistakes: list) -> None:
        """Refuse a recon other than the sum over pixels and mean over the batch of `entries`."""
        right = entries.sum() / len(entries)
        pixels = "over the pixels of an image recon is a sum, over the batch a mean"
        reductions = [
            (entries.mean(), f"you averaged over the pixels too: {pixels}"),
            (entries.sum(), f"you summed over the batch too: {pixels}"),
            (right / 2, "recon carries a factor 1/2 that the definition does not have"),
        ]
        wrong = [(value.sum() / len(value), hint) for value, hint in mistakes]
        wrong += [(value.mean(), f"{hint}; and {pixels}") for value, hint in mistakes]
        if not close(got, right):
            raise WrongAnswer(
                diagnose(got, reductions + wrong, f"recon has another value: {pixels}")
            )
