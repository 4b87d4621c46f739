"""Checks of notebook 03, third part: DDIM's sigma and its step."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from autograder.checks import steps
from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    as_tensor,
    behaviour,
    close,
    diagnose,
    require_repeatable,
)
from autograder.checks.runs import GaussianRun, draw_long_schedule
from autograder.inside.student import WrongAnswer


class DDIMSigma(Check):
    """How much noise a DDIM step adds."""

    name = "ddim_sigma"
    points = 4
    seals = ("mnistdiff.samplers:ddim_sigma",)

    @behaviour("at eta 1, the standard deviation of DDPM's step", 2)
    def full(self, student: Any, draw: Draw) -> None:
        """For neighbouring timesteps and for wide gaps."""
        for pair in steps.draw_pairs(draw):
            got = self._sigma(student, *pair, 1.0)
            if not close(got, steps.ddim_sigma(*pair, 1.0)):
                otherwise = "at eta 1, sigma^2 = (1 - abar_prev) / (1 - abar_t) beta_t"
                raise WrongAnswer(diagnose(got, steps.sigma_mistakes(*pair), otherwise))

    @behaviour("proportional to eta", 1)
    def eta(self, student: Any, draw: Draw) -> None:
        """Against what the student's own code gives at eta 1."""
        full = []
        for pair in steps.draw_pairs(draw):
            full.append(self._sigma(student, *pair, 1.0))
            for eta in (0.0, *draw.uniform(2, low=0.2, high=0.8).tolist()):
                got = self._sigma(student, *pair, eta)
                mistakes = [
                    (full[-1], "eta has no influence: it multiplies sigma"),
                    (eta**2 * full[-1], "eta comes in squared: it stands before the square root"),
                    (eta**0.5 * full[-1], "eta is inside the square root: it stands before it"),
                ]
                if not close(got, eta * full[-1]):
                    otherwise = "sigma must be eta times its value at eta 1"
                    raise WrongAnswer(diagnose(got, mistakes, otherwise))
        if close(full[0], full[1]) and close(full[0], full[2]):
            raise WrongAnswer("sigma does not depend on abar_t and abar_prev")

    @behaviour("0 on the last step, where abar_prev = 1", 1)
    def last(self, student: Any, draw: Draw) -> None:
        """At any eta; elsewhere it is not 0."""
        for abar_t, abar_prev in steps.draw_pairs(draw):
            for eta in (1.0, float(draw.uniform(1, low=0.2, high=0.8))):
                if self._sigma(student, abar_t, abar_prev, eta) == 0:
                    raise WrongAnswer("sigma is 0 on other steps than the last, at an eta above 0")
                if not close(self._sigma(student, abar_t, torch.tensor(1.0), eta), 0.0):
                    raise WrongAnswer(
                        "at abar_prev = 1 no noise is left: the factor 1 - abar_prev is 0"
                    )

    def _sigma(self, student: Any, abar_t: Tensor, abar_prev: Tensor, eta: float) -> float:
        result = student.call(self.name, abar_t, abar_prev, eta)
        if isinstance(result, Tensor) and result.numel() == 1 and result.isnan().all():
            if abar_prev == 1:
                raise WrongAnswer(
                    "sigma is NaN at abar_prev = 1, 0 / 0 or 0 times infinity: it is 0"
                )
            raise WrongAnswer(
                "sigma is NaN, the square root of something negative: abar_prev is larger "
                "than abar_t, so 1 - abar_t / abar_prev is the one between 0 and 1"
            )
        return as_number(result, "sigma")


class DDIMStep(Check):
    """One step of DDIM, to whichever timestep abar_prev belongs to."""

    name = "ddim_step"
    points = 8
    seals = ("mnistdiff.samplers:ddim_step", "mnistdiff.samplers:ddpm_step")
    # A mistake in the cell above costs its marks there, not here a second time.
    stand_ins: ClassVar = {"ddim_sigma": "mnistdiff.samplers:ddim_sigma"}
    ONE = torch.tensor(1.0)

    @behaviour("x0_hat, which the last step returns (abar_prev = 1)", 2)
    def x0_hat(self, student: Any, draw: Draw) -> None:
        """At eta 0, where the result on the last step is x0_hat alone."""
        for x_t, eps, (a, _), noise in self._cases(draw):
            got = self._step(student, x_t, eps, (a, self.ONE), 0.0, noise)
            if not close(got, steps.predict_x0(x_t, eps, a)):
                otherwise = "x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)"
                raise WrongAnswer(diagnose(got, steps.x0_mistakes(x_t, eps, a), otherwise))

    @behaviour("eta 0: on to abar_prev along eps, whatever the noise", 2)
    def deterministic(self, student: Any, draw: Draw) -> None:
        """To near and far timesteps, and with noise that must not matter."""
        for x_t, eps, pair, noise in self._cases(draw):
            got = self._step(student, x_t, eps, pair, 0.0, noise)
            if not close(got, self._step(student, x_t, eps, pair, 0.0, -2 * noise)):
                raise WrongAnswer(
                    "at eta 0 the result still changes with the noise: sigma is 0 there"
                )
            if not close(got, steps.ddim_step(x_t, eps, pair, 0.0, noise)):
                between = pair[0], (pair[0] + pair[1]) / 2
                other = self._step(student, x_t, eps, between, 0.0, noise)
                mistakes = [
                    (
                        other,
                        "the result does not depend on abar_prev, the previous kept timestep's",
                    ),
                    *steps.direction_mistakes(x_t, eps, pair),
                ]
                otherwise = "at eta 0, x_prev = sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev) eps"
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("eta > 0: the noise is scaled by sigma", 1)
    def noise(self, student: Any, draw: Draw) -> None:
        """What the noise adds to the result."""
        for x_t, eps, pair, noise in self._cases(draw):
            for eta in (float(draw.uniform(1, low=0.3, high=0.8)), 1.0):
                moved = self._step(student, x_t, eps, pair, eta, noise)
                moved = moved - self._step(student, x_t, eps, pair, eta, 0 * noise)
                if not close(moved, steps.ddim_sigma(*pair, eta) * noise):
                    require_repeatable(student, self.name, x_t, eps, *pair, eta, noise)
                    mistakes = [(s * noise, h) for s, h in steps.scale_mistakes(pair, eta)]
                    otherwise = "the noise must enter as sigma * noise, with the sigma of this eta"
                    raise WrongAnswer(diagnose(moved, mistakes, otherwise))

    @behaviour("eta > 0: the step along eps makes room, 1 - abar_prev - sigma^2", 1)
    def direction(self, student: Any, draw: Draw) -> None:
        """How eta changes the result when the noise is 0."""
        for x_t, eps, pair, noise in self._cases(draw):
            for eta in (float(draw.uniform(1, low=0.5, high=0.8)), 1.0):
                got = self._step(student, x_t, eps, pair, eta, 0 * noise)
                moved = got - self._step(student, x_t, eps, pair, 0.0, 0 * noise)
                right = steps.ddim_step(x_t, eps, pair, eta, 0 * noise)
                if not close(moved, right - steps.ddim_step(x_t, eps, pair, 0.0, noise)):
                    mistakes = [(s * eps, h) for s, h in steps.room_mistakes(pair, eta)]
                    otherwise = "the share along eps is sqrt(1 - abar_prev - sigma^2)"
                    raise WrongAnswer(diagnose(moved, mistakes, otherwise))

    @behaviour("no noise on the last step, at any eta", 1)
    def last(self, student: Any, draw: Draw) -> None:
        """At abar_prev = 1 eta and noise change nothing; before it they do."""
        for x_t, eps, (a, p), noise in self._cases(draw):
            x_t, eps, noise = 0.1 * x_t, 0.1 * eps, 0.1 * noise  # else all may be clipped to +-1
            for eta in (1.0, float(draw.uniform(1, low=0.3, high=0.8))):
                got = self._step(student, x_t, eps, (a, self.ONE), eta, noise)
                plain = self._step(student, x_t, eps, (a, self.ONE), 0.0, noise)
                if not close(got, plain):
                    raise WrongAnswer(
                        "noise is added on the last step: at abar_prev = 1, sigma is 0"
                    )
                if close(self._step(student, x_t, eps, (a, p), eta, noise), got):
                    raise WrongAnswer(
                        "the step before the last gives the same: abar_prev is not used"
                    )

    @behaviour("whole runs: exact samples at eta 0, DDPM's steps at eta 1", 1)
    def runs(self, student: Any, draw: Draw) -> None:
        """Data from one Gaussian, whose samples are known; then each step against DDPM's."""
        run = GaussianRun(draw)
        x, noise = run.start, draw.signed(*run.start.shape)
        for pair, t in run.pairs():
            eps = run.eps(x, t)
            x = self._step(student, x.float(), eps.float(), pair, 0.0, noise).float()
        if not close(x, run.end()):
            off = float((x - run.exact).abs().max())
            raise WrongAnswer(
                f"a run at eta 0 over {len(run.kept)} uneven timesteps with a perfect model must "
                f"turn noise z into mean + std z; its samples are off by up to {off:.2g}"
            )
        betas, abar = draw_long_schedule(draw)
        for t in range(1, len(abar), 6):
            x_t, eps, noise = (draw.signed(3, 4) for _ in range(3))
            right = steps.ddpm_step(x_t, eps, betas[t], (abar[t], abar[t - 1]), noise)
            got = self._step(student, x_t, eps, (abar[t], abar[t - 1]), 1.0, noise)
            if not close(got, right):
                raise WrongAnswer("at eta 1 on neighbouring timesteps the step must be DDPM's")

    def _cases(self, draw: Draw) -> list[tuple]:
        """x_t, eps, abar of both timesteps, noise: for each kind of shape another gap."""
        cases = []
        for shape, pair in zip(steps.SHAPES, steps.draw_pairs(draw), strict=True):
            # Some x0_hat leaves [-1, 1], so that clipping shows.
            cases.append((2 * draw.signed(*shape), draw.signed(*shape), pair, draw.signed(*shape)))
        return cases

    def _step(
        self, student: Any, x_t: Tensor, eps: Tensor, pair: steps.Pair, eta: float, noise: Tensor
    ) -> Tensor:
        result = student.call(self.name, x_t, eps, *pair, eta, noise)
        if isinstance(result, Tensor) and result.shape == x_t.shape and result.isnan().any():
            raise WrongAnswer(
                "the result holds NaN: something under a square root is negative. "
                "If it is 1 - abar_prev - sigma^2, then sigma is too large"
            )
        return as_tensor(result, x_t.shape, "of x_t")
