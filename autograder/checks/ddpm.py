"""Checks of notebook 03, first part: the forward process and the step of DDPM."""

import torch
from torch import Tensor

from autograder.checks import step_mistakes
from autograder.checks.base import (
    Check,
    Draw,
    as_tensor,
    behaviour,
    clipped,
    close,
    diagnose,
    require_finite,
    require_repeatable,
)
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer

CLIPPED = "do not clip x_t: noise has no bounds"
AGAIN = "abar is already the cumulative product: do not call cumprod"


class AddNoise(Check):
    """x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise, each row of the batch at its own t."""

    name = "add_noise"
    points = 4
    seals = ("mnistdiff.schedules:add_noise",)
    AXES = "abar[t] has shape (B,): add one axis of length 1 for each further axis of x0"

    @behaviour("x0 is scaled by sqrt(abar_t)", 1)
    def signal(self, student: Student, draw: Draw) -> None:
        """Use noise = 0 and one image at a time."""
        for x0, t, abar in self._single(draw):
            a = abar.double()
            mistakes = [
                ((1 - a[t]).sqrt() * x0, "the two scales are swapped: sqrt(abar_t) belongs to x0"),
                ((1 - a[t]) * x0, "scale x0 by sqrt(abar_t), not by 1 - abar_t"),
                (0 * x0, "x0 has no effect on the result"),
                *self._mistakes(a, a.cumprod(0), t, x0, "sqrt(abar_t)"),
                ((1 - a).cumprod(0)[t].sqrt() * x0, AGAIN),
            ]
            given = x0, torch.tensor([t]), 0 * x0, abar
            got = self._noised(student, *given)
            mistakes.append((clipped(a[t].sqrt() * x0, got), CLIPPED))
            if not close(got, a[t].sqrt() * x0):
                require_repeatable(student, self.name, *given)
                raise WrongAnswer(
                    diagnose(got, mistakes, "with noise = 0, x_t must be sqrt(abar_t) x0")
                )

    @behaviour("the noise is scaled by sqrt(1 - abar_t)", 1)
    def noise(self, student: Student, draw: Draw) -> None:
        """Use x0 = 0 and one image at a time."""
        for noise, t, abar in self._single(draw):
            a = abar.double()
            mistakes = [
                (
                    a[t].sqrt() * noise,
                    "the two scales are swapped: scale noise by sqrt(1 - abar_t)",
                ),
                ((1 - a[t].sqrt()) * noise, "compute 1 - abar_t first, then its square root"),
                (0 * noise, "the noise argument has no effect on the result"),
                (-(1 - a[t]).sqrt() * noise, "you subtracted the noise: add it"),
                *self._mistakes(1 - a, 1 - a.cumprod(0), t, noise, "sqrt(1 - abar_t)"),
                ((1 - (1 - a).cumprod(0)[t]).sqrt() * noise, AGAIN),
                (
                    (1 - a[t] ** 2).sqrt() * noise,
                    "do not square abar_t: the scale is sqrt(1 - abar_t)",
                ),
            ]
            given = 0 * noise, torch.tensor([t]), noise, abar
            got = self._noised(student, *given)
            mistakes.append((clipped((1 - a[t]).sqrt() * noise, got), CLIPPED))
            if not close(got, (1 - a[t]).sqrt() * noise):
                require_repeatable(student, self.name, *given)
                raise WrongAnswer(
                    diagnose(got, mistakes, "with x0 = 0, x_t must be sqrt(1 - abar_t) noise")
                )

    @behaviour("latents (B, D), each row at its own t", 1)
    def latents(self, student: Student, draw: Draw) -> None:
        """Use batches of as many rows as columns, and others."""
        for shape in ((4, 6), (5, 5)):
            self._rows(student, draw, shape)

    @behaviour("images (B, C, H, W), each at its own t", 1)
    def images(self, student: Student, draw: Draw) -> None:
        """Use batches as large as an image is wide, and others."""
        for shape in ((3, 2, 4, 5), (4, 1, 4, 4)):
            self._rows(student, draw, shape)

    def _single(self, draw: Draw) -> list[tuple[Tensor, int, Tensor]]:
        """Return (image, t, abar) for t in the middle and at both ends of a schedule."""
        abar = step_mistakes.draw_schedule(draw)[1]
        times = 3 + int(draw.order(4)[0]), 0, len(abar) - 1
        shapes = (1, 1, 3, 4), (1, 2, 3, 4), (1, 3, 2, 4)
        images = [draw.signed(*shape) for shape in shapes]
        for image in images:
            image.view(-1)[0] *= 100  # so large that clipping x_t shows
        return [(image, t, abar) for image, t in zip(images, times, strict=True)]

    def _mistakes(self, share: Tensor, again: Tensor, t: int, x: Tensor, name: str) -> list[tuple]:
        """Return the mistakes common to both scales; `again` comes from a second cumprod."""
        wrong = [
            (share[t] * x, f"the square root is missing: the scale is {name}"),
            (share[t] ** 2 * x, f"take a square root, do not square: the scale is {name}"),
            (x, f"it is added without a scale: the scale is {name}"),
            (again[t].sqrt() * x, AGAIN),
        ]
        off = "abar is read at another timestep: t counts from 0, so it is abar[t]"
        others = [i for i in (t - 1, t + 1) if 0 <= i < len(share)]
        return wrong + [(share[i].sqrt() * x, off) for i in others]

    def _noised(self, student: Student, x0: Tensor, *arguments: Tensor) -> Tensor:
        """Return x_t. A wrong shape comes from broadcasting, so its hint explains the axes."""
        try:
            result = student.call(self.name, x0, *arguments)
        except WrongAnswer as wrong:
            if "must match the size" in str(wrong) or "is invalid for input" in str(wrong):
                raise WrongAnswer(f"{wrong}. {self.AXES}") from None
            raise
        require_finite(result)
        if isinstance(result, Tensor) and result.shape != x0.shape:
            found, asked = tuple(result.shape), tuple(x0.shape)
            raise WrongAnswer(f"x0 has shape {asked} and the result {found}: {self.AXES}")
        return as_tensor(result, x0.shape, "of x0")

    def _rows(self, student: Student, draw: Draw, shape: tuple[int, ...]) -> None:
        """Compare with the student's own values for each row alone."""
        x0, noise = draw.signed(*shape), draw.signed(*shape)
        abar = step_mistakes.draw_schedule(draw)[1]
        t = draw.order(len(abar) - 1)[: len(x0)]
        t[0] = t[-1] = len(abar) - 1  # the last timestep; one timestep may occur twice
        parts = (value.split(1) for value in (x0, t, noise))
        alone = [self._noised(student, *row, abar) for row in zip(*parts, strict=True)]
        got = self._noised(student, x0, t, noise, abar)
        if not close(got, torch.cat(alone)):
            require_repeatable(student, self.name, x0, t, noise, abar)
            at_first = self._noised(student, x0, t[:1].expand(len(t)), noise, abar)
            mistakes = [(at_first, "every row gets the same t: row i has t[i]")]
            otherwise = f"row i of a batch differs from row i alone with t[i]: {self.AXES}"
            raise WrongAnswer(diagnose(got, mistakes, otherwise))
        # Compare all rows: a single row may be clipped to the same values.
        if close(self._noised(student, x0, 0 * t, noise, abar), got):
            raise WrongAnswer("the result does not depend on t")
        if close(self._noised(student, x0, t, noise.roll(1, 0), abar), got):
            raise WrongAnswer("the result does not depend on the noise argument")


class DDPMStep(Check):
    """x_{t-1}: the mean of the posterior plus its standard deviation times the noise."""

    name = "ddpm_step"
    points = 5
    seals = ("mnistdiff.samplers:ddpm_step", "mnistdiff.samplers:ddim_step")

    @behaviour("the mean of x_{t-1} at t > 0", 2)
    def mean(self, student: Student, draw: Draw) -> None:
        """Use noise 0 and compare with Ho et al., eq. 7."""
        for x_t, eps, t, betas, abar in self._cases(draw):
            pair, beta = (abar[t], abar[t - 1]), betas[t]
            got = self._step(student, x_t, eps, t, betas, abar, 0 * x_t)
            x0_hat = step_mistakes.predict_x0(x_t, eps, abar[t])
            if not close(got, step_mistakes.posterior_mean(x0_hat, x_t, beta, pair)):
                require_repeatable(student, self.name, x_t, eps, t, betas, abar, 0 * x_t)
                mistakes = step_mistakes.ddpm_mean_mistakes(x_t, eps, beta, pair)
                right = step_mistakes.posterior_mean(x0_hat, x_t, beta, pair)
                mistakes.append(
                    (clipped(right, got), "do not clip the result: noise has no bounds")
                )
                if t + 1 < len(abar):
                    later = abar[t + 1], abar[t]
                    x0_later = step_mistakes.predict_x0(x_t, eps, later[0])
                    wrong = step_mistakes.posterior_mean(x0_later, x_t, betas[t + 1], later)
                    mistakes.append((wrong, "betas and abar are read at t + 1: t counts from 0"))
                otherwise = "with noise = 0 the step must give the posterior mean of x_{t-1}"
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("the noise is scaled by the standard deviation of the posterior", 2)
    def scale(self, student: Student, draw: Draw) -> None:
        """Compare what the noise adds to the result at t > 0 with sigma_t * noise."""
        for x_t, eps, t, betas, abar in self._cases(draw):
            pair, beta, noise = (abar[t], abar[t - 1]), betas[t], draw.signed(*x_t.shape)
            moved = self._step(student, x_t, eps, t, betas, abar, noise)
            moved = moved - self._step(student, x_t, eps, t, betas, abar, 0 * x_t)
            if not close(moved, step_mistakes.posterior_variance(beta, pair).sqrt() * noise):
                require_repeatable(student, self.name, x_t, eps, t, betas, abar, noise)
                wrong = [
                    (s * noise, hint) for s, hint in step_mistakes.ddpm_scale_mistakes(beta, pair)
                ]
                otherwise = "scale the noise by sigma_t: "
                otherwise += "sigma_t^2 = beta_t (1 - abar_{t-1}) / (1 - abar_t)"
                raise WrongAnswer(diagnose(moved, wrong, otherwise))

    @behaviour("at t = 0 the result is x0_hat, without noise", 1)
    def last(self, student: Student, draw: Draw) -> None:
        """Test t = 0, where abar_{t-1} = 1 and the posterior has no variance."""
        for x_t, eps, _, betas, abar in self._cases(draw):
            results = [
                self._step(student, x_t, eps, 0, betas, abar, noise)
                for noise in (0 * x_t, draw.signed(*x_t.shape))
            ]
            if not close(*results):
                raise WrongAnswer(
                    "at t = 0 the result still changes with the noise: return only the mean"
                )
            x0_hat = step_mistakes.predict_x0(x_t, eps, abar[0])
            wrapped = step_mistakes.posterior_mean(x0_hat, x_t, betas[0], (abar[0], abar[-1]))
            mistakes = [(x_t, "at t = 0 you return x_t: the last step returns x0_hat")]
            mistakes += [(wrapped, "at t = 0, abar[t - 1] is abar[-1], the last entry: use 1")]
            mistakes.append((clipped(x0_hat, results[0]), "do not clip x0_hat in this cell"))
            if not close(results[0], x0_hat):
                otherwise = "at t = 0 the mean is x0_hat, because abar_{t-1} = 1"
                raise WrongAnswer(diagnose(results[0], mistakes, otherwise))

    def _cases(self, draw: Draw) -> list[tuple]:
        """Return (x_t, eps, t, betas, abar) for each shape, including t = 1."""
        cases = []
        for shape, t in zip(step_mistakes.SHAPES, (4 + int(draw.order(4)[0]), 1, 9), strict=True):
            betas, abar = step_mistakes.draw_schedule(draw)
            x_t = step_mistakes.draw_x(draw, *shape)
            cases.append((x_t, draw.signed(*shape), t, betas, abar))
        return cases

    def _step(self, student: Student, x_t: Tensor, *arguments: object) -> Tensor:
        return as_tensor(student.call(self.name, x_t, *arguments), x_t.shape, "of x_t")
