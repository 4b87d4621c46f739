"""Checks of notebook 03, first part: the forward process and DDPM's step."""

from typing import Any

import torch
from torch import Tensor

from autograder.checks import steps
from autograder.checks.base import (
    Check,
    Draw,
    as_tensor,
    behaviour,
    close,
    diagnose,
    require_repeatable,
)
from autograder.inside.student import WrongAnswer


class AddNoise(Check):
    """x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise, each row of the batch at its own t."""

    name = "add_noise"
    points = 4
    seals = ("mnistdiff.schedules:add_noise",)
    AXES = "abar[t] has shape (B,): give it one axis of length 1 for each further axis of x0"

    @behaviour("x0 is scaled by sqrt(abar_t)", 1)
    def signal(self, student: Any, draw: Draw) -> None:
        """Without noise, one image at a time."""
        for x0, t, abar in self._single(draw):
            a = abar.double()
            mistakes = [
                ((1 - a[t]).sqrt() * x0, "the two scales are swapped: sqrt(abar_t) is for x0"),
                ((1 - a[t]) * x0, "x0 is scaled by sqrt(abar_t): abar falls from 1 to 0"),
                (0 * x0, "x0 has no influence on the result"),
                ((a[t].sqrt() * x0).clamp(-1, 1), "do not clip x_t: noise is not bounded"),
                *self._mistakes(a, a.cumprod(0), t, x0, "sqrt(abar_t)"),
            ]
            given = x0, torch.tensor([t]), 0 * x0, abar
            got = self._noised(student, *given)
            if not close(got, a[t].sqrt() * x0):
                require_repeatable(student, self.name, *given)
                raise WrongAnswer(diagnose(got, mistakes, "with noise = 0, x_t is sqrt(abar_t) x0"))

    @behaviour("the noise is scaled by sqrt(1 - abar_t)", 1)
    def noise(self, student: Any, draw: Draw) -> None:
        """With x0 = 0, one image at a time."""
        for noise, t, abar in self._single(draw):
            a = abar.double()
            mistakes = [
                (a[t].sqrt() * noise, "the two scales are swapped: sqrt(1 - abar_t) is for noise"),
                ((1 - a[t].sqrt()) * noise, "take 1 - abar_t first, then the square root"),
                (0 * noise, "the noise argument has no influence on the result"),
                (-(1 - a[t]).sqrt() * noise, "the noise is added, not subtracted"),
                (((1 - a[t]).sqrt() * noise).clamp(-1, 1), "do not clip x_t: noise has no bounds"),
                *self._mistakes(1 - a, 1 - a.cumprod(0), t, noise, "sqrt(1 - abar_t)"),
            ]
            given = 0 * noise, torch.tensor([t]), noise, abar
            got = self._noised(student, *given)
            if not close(got, (1 - a[t]).sqrt() * noise):
                require_repeatable(student, self.name, *given)
                raise WrongAnswer(
                    diagnose(got, mistakes, "with x0 = 0, x_t is sqrt(1 - abar_t) noise")
                )

    @behaviour("latents (B, D), each row at its own t", 1)
    def latents(self, student: Any, draw: Draw) -> None:
        """Batch and row as long as each other or not."""
        for shape in ((4, 6), (5, 5)):
            self._rows(student, draw, shape)

    @behaviour("images (B, C, H, W), each at its own t", 1)
    def images(self, student: Any, draw: Draw) -> None:
        """The batch as large as an image is wide, or not."""
        for shape in ((3, 2, 4, 5), (4, 1, 4, 4)):
            self._rows(student, draw, shape)

    def _single(self, draw: Draw) -> list[tuple[Tensor, int, Tensor]]:
        """One image, t in the middle and at both ends, and a schedule."""
        abar = steps.draw_schedule(draw)[1]
        times = 3 + int(draw.order(4)[0]), 0, len(abar) - 1
        shapes = (1, 1, 3, 4), (1, 2, 3, 4), (1, 3, 2, 4)
        return [(draw.signed(*s), t, abar) for s, t in zip(shapes, times, strict=True)]

    def _mistakes(self, share: Tensor, again: Tensor, t: int, x: Tensor, name: str) -> list[tuple]:
        """Mistakes common to both scales; `again` is the share by a product taken twice."""
        wrong = [
            (share[t] * x, f"the square root is missing: the scale is {name}"),
            (share[t] ** 2 * x, f"you squared where a square root belongs: the scale is {name}"),
            (x, f"it is added as it is: the scale is {name}"),
            (again[t].sqrt() * x, "abar is the cumulative product already: take no cumprod of it"),
        ]
        off = "abar is read at another timestep: t counts from 0, so it is abar[t]"
        others = [i for i in (t - 1, t + 1) if 0 <= i < len(share)]
        return wrong + [(share[i].sqrt() * x, off) for i in others]

    def _noised(self, student: Any, x0: Tensor, *arguments: Tensor) -> Tensor:
        """One call; wrong shapes are broadcasting gone wrong."""
        try:
            result = student.call(self.name, x0, *arguments)
        except WrongAnswer as wrong:
            if "must match the size" in str(wrong) or "is invalid for input" in str(wrong):
                raise WrongAnswer(f"{wrong}. {self.AXES}") from None
            raise
        if isinstance(result, Tensor) and result.shape != x0.shape:
            found, asked = tuple(result.shape), tuple(x0.shape)
            raise WrongAnswer(f"x0 has shape {asked} and the result {found}: {self.AXES}")
        return as_tensor(result, x0.shape, "of x0")

    def _rows(self, student: Any, draw: Draw, shape: tuple[int, ...]) -> None:
        """Against what the student's own code gives for each row alone."""
        x0, noise = draw.signed(*shape), draw.signed(*shape)
        abar = steps.draw_schedule(draw)[1]
        t = draw.order(len(abar) - 1)[: len(x0)]
        t[0] = t[-1] = len(abar) - 1  # the last one; and a timestep may come twice
        parts = (value.split(1) for value in (x0, t, noise))
        alone = [self._noised(student, *row, abar) for row in zip(*parts, strict=True)]
        got = self._noised(student, x0, t, noise, abar)
        if not close(got, torch.cat(alone)):
            at_first = self._noised(student, x0, t[:1].expand(len(t)), noise, abar)
            mistakes = [(at_first, "every row is treated with the same t: row i has t[i]")]
            otherwise = f"row i comes out otherwise than alone with t[i]: {self.AXES}"
            raise WrongAnswer(diagnose(got, mistakes, otherwise))
        # Of all rows: one alone may be clipped to the same.
        if close(self._noised(student, x0, 0 * t, noise, abar), got):
            raise WrongAnswer("the result does not depend on t")
        if close(self._noised(student, x0, t, noise.roll(1, 0), abar), got):
            raise WrongAnswer("the result does not depend on the noise argument")


class DDPMStep(Check):
    """x_{t-1}: the posterior's mean plus its standard deviation times the noise."""

    name = "ddpm_step"
    points = 5
    seals = ("mnistdiff.samplers:ddpm_step", "mnistdiff.samplers:ddim_step")

    @behaviour("the mean of x_{t-1} at t > 0", 2)
    def mean(self, student: Any, draw: Draw) -> None:
        """With noise 0, against Ho et al., eq. 7."""
        for x_t, eps, t, betas, abar in self._cases(draw):
            pair, beta = (abar[t], abar[t - 1]), betas[t]
            got = self._step(student, x_t, eps, t, betas, abar, 0 * x_t)
            x0_hat = steps.predict_x0(x_t, eps, abar[t])
            if not close(got, steps.posterior_mean(x0_hat, x_t, beta, pair)):
                mistakes = steps.ddpm_mean_mistakes(x_t, eps, beta, pair)
                otherwise = "with noise = 0 the step must give the posterior mean of x_{t-1}"
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("the noise is scaled by the posterior's standard deviation", 2)
    def scale(self, student: Any, draw: Draw) -> None:
        """What the noise adds to the result at t > 0."""
        for x_t, eps, t, betas, abar in self._cases(draw):
            pair, beta, noise = (abar[t], abar[t - 1]), betas[t], draw.signed(*x_t.shape)
            moved = self._step(student, x_t, eps, t, betas, abar, noise)
            moved = moved - self._step(student, x_t, eps, t, betas, abar, 0 * x_t)
            if not close(moved, steps.posterior_variance(beta, pair).sqrt() * noise):
                require_repeatable(student, self.name, x_t, eps, t, betas, abar, noise)
                wrong = [(s * noise, hint) for s, hint in steps.ddpm_scale_mistakes(beta, pair)]
                otherwise = "sigma_t^2 = beta_t (1 - abar_{t-1}) / (1 - abar_t)"
                raise WrongAnswer(
                    diagnose(moved, wrong, f"the noise is scaled by sigma_t: {otherwise}")
                )

    @behaviour("at t = 0 no noise, and x0_hat comes out", 1)
    def last(self, student: Any, draw: Draw) -> None:
        """abar before t = 0 is 1: nothing is left to be unsure about."""
        for x_t, eps, _, betas, abar in self._cases(draw):
            results = [
                self._step(student, x_t, eps, 0, betas, abar, noise)
                for noise in (0 * x_t, draw.signed(*x_t.shape))
            ]
            if not close(*results):
                raise WrongAnswer(
                    "at t = 0 the result still changes with the noise: return the mean"
                )
            x0_hat = steps.predict_x0(x_t, eps, abar[0])
            wrapped = steps.posterior_mean(x0_hat, x_t, betas[0], (abar[0], abar[-1]))
            mistakes = [(wrapped, "at t = 0, abar[t - 1] is abar[-1], the last one: use 1 there")]
            if not close(results[0], x0_hat):
                otherwise = "at t = 0 the mean is x0_hat: there abar_{t-1} = 1"
                raise WrongAnswer(diagnose(results[0], mistakes, otherwise))

    def _cases(self, draw: Draw) -> list[tuple]:
        """x_t, eps, t, betas, abar for each kind of shape, t = 1 among them."""
        cases = []
        for shape, t in zip(steps.SHAPES, (4 + int(draw.order(4)[0]), 1, 9), strict=True):
            betas, abar = steps.draw_schedule(draw)
            # Some x0_hat leaves [-1, 1], so that clipping shows.
            cases.append((2 * draw.signed(*shape), draw.signed(*shape), t, betas, abar))
        return cases

    def _step(self, student: Any, x_t: Tensor, *arguments: object) -> Tensor:
        return as_tensor(student.call(self.name, x_t, *arguments), x_t.shape, "of x_t")
