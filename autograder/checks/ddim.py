"""Checks of notebook 03, third part: sigma and the step of DDIM."""

from typing import ClassVar

import torch
from torch import Tensor

from autograder.checks import step_mistakes
from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    as_tensor,
    behaviour,
    clipped,
    close,
    diagnose,
    require_repeatable,
)
from autograder.checks.runs import GaussianRun, draw_long_schedule
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer

CLIPPED = "do not clip the result: noise has no bounds"
FROM_X0 = "only x0_hat, from which you compute eps again, is wrong: see the hint about it"


class DDIMSigma(Check):
    """The standard deviation of the noise that a DDIM step adds."""

    name = "ddim_sigma"
    points = 4
    seals = ("mnistdiff.samplers:ddim_sigma",)

    @behaviour("at eta 1, the standard deviation of the DDPM step", 2)
    def full(self, student: Student, draw: Draw) -> None:
        """Test neighbouring timesteps and wide gaps."""
        for pair in step_mistakes.draw_pairs(draw):
            got = self._sigma(student, *pair, 1.0)
            if not close(got, step_mistakes.ddim_sigma(*pair, 1.0)):
                otherwise = (
                    "at eta 1, sigma^2 = (1 - abar_prev) / (1 - abar_t) (1 - abar_t / abar_prev)"
                )
                raise WrongAnswer(diagnose(got, step_mistakes.sigma_mistakes(*pair), otherwise))

    @behaviour("proportional to eta", 1)
    def eta(self, student: Student, draw: Draw) -> None:
        """Compare with the student's own value at eta 1."""
        full = []
        for pair in step_mistakes.draw_pairs(draw):
            full.append(self._sigma(student, *pair, 1.0))
            for eta in (0.0, *draw.uniform(2, low=0.2, high=0.8).tolist()):
                got = self._sigma(student, *pair, eta)
                mistakes = [
                    (full[-1], "eta has no effect: it multiplies sigma"),
                    (eta**2 * full[-1], "eta is squared: it belongs in front of the square root"),
                    (
                        eta**0.5 * full[-1],
                        "eta is inside the square root: it belongs in front of it",
                    ),
                ]
                if not close(got, eta * full[-1]):
                    otherwise = "sigma must be eta times its value at eta 1"
                    raise WrongAnswer(diagnose(got, mistakes, otherwise))
        if close(full[0], full[1]) and close(full[0], full[2]):
            raise WrongAnswer("sigma does not depend on abar_t and abar_prev")

    @behaviour("0 on the last step, where abar_prev = 1", 1)
    def last(self, student: Student, draw: Draw) -> None:
        """Test that sigma is 0 there at any eta, and not 0 on earlier steps."""
        for abar_t, abar_prev in step_mistakes.draw_pairs(draw):
            for eta in (1.0, float(draw.uniform(1, low=0.2, high=0.8))):
                if self._sigma(student, abar_t, abar_prev, eta) == 0:
                    raise WrongAnswer("sigma is 0 before the last step, although eta is above 0")
                if not close(self._sigma(student, abar_t, torch.tensor(1.0), eta), 0.0):
                    raise WrongAnswer(
                        "at abar_prev = 1 sigma must be 0: the factor 1 - abar_prev is 0"
                    )

    def _sigma(self, student: Student, abar_t: Tensor, abar_prev: Tensor, eta: float) -> float:
        result = student.call(self.name, abar_t, abar_prev, eta)
        if isinstance(result, Tensor) and result.numel() == 1 and result.isnan().all():
            if abar_prev == 1:
                raise WrongAnswer(
                    "sigma is NaN at abar_prev = 1, from 0 / 0 or 0 times infinity: it must be 0"
                )
            raise WrongAnswer(
                "sigma is NaN, the square root of a negative number: abar_prev is larger than "
                "abar_t, so both (1 - abar_prev) / (1 - abar_t) and 1 - abar_t / abar_prev are "
                "between 0 and 1: check the brackets, and which is divided by which"
            )
        return as_number(result, "sigma")


class DDIMStep(Check):
    """One step of DDIM, to the timestep of abar_prev."""

    name = "ddim_step"
    points = 8
    seals = ("mnistdiff.samplers:ddim_step", "mnistdiff.samplers:ddpm_step")
    # A mistake in the cell above already costs marks there; it must not cost marks here.
    stand_ins: ClassVar = {"ddim_sigma": "mnistdiff.samplers:ddim_sigma"}
    ONE = torch.tensor(1.0)

    @behaviour("x0_hat, which the last step returns (abar_prev = 1)", 2)
    def x0_hat(self, student: Student, draw: Draw) -> None:
        """Use eta 0, where the last step returns x0_hat alone."""
        for x_t, eps, (a, _), noise in self._cases(draw):
            got = self._step(student, x_t, eps, (a, self.ONE), 0.0, noise)
            right = step_mistakes.predict_x0(x_t, eps, a)
            if not close(got, right):
                mistakes = step_mistakes.x0_mistakes(x_t, eps, a, noise)
                hint = CLIPPED if self._is_bounded(student) else "do not clip x0_hat in this cell"
                mistakes.append((clipped(right, got), hint))
                otherwise = "x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)"
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("eta 0: moves along eps to abar_prev, independent of the noise", 2)
    def deterministic(self, student: Student, draw: Draw) -> None:
        """Step to near and far timesteps, with noise that must have no effect."""
        for x_t, eps, pair, noise in self._cases(draw):
            got = self._step(student, x_t, eps, pair, 0.0, noise)
            right = step_mistakes.ddim_step(x_t, eps, pair, 0.0, noise)
            if not close(got, right):
                self._require_unbounded(student)
                between = pair[0], (pair[0] + pair[1]) / 2
                other = self._step(student, x_t, eps, between, 0.0, noise)
                # A wrong x0_hat, which `x0_hat` explains, may hide what else is wrong or right.
                own = self._step(student, x_t, eps, (pair[0], self.ONE), 0.0, noise)
                true, p = step_mistakes.predict_x0(x_t, eps, pair[0]), pair[1].double()
                a = pair[0].double()
                own_eps = (x_t - a.sqrt() * own) / (1 - a).sqrt()
                after_own = p.sqrt() * own + (1 - p).sqrt() * eps
                after_both = p.sqrt() * own + (1 - p).sqrt() * own_eps
                mistakes = [
                    (other, "the result does not depend on abar_prev"),
                    *step_mistakes.eta_zero_mistakes(x_t, eps, pair, true, noise),
                    (after_own, "only x0_hat is wrong in this step: see the hint about it"),
                    (after_both, FROM_X0),
                    *step_mistakes.eta_zero_mistakes(x_t, eps, pair, own, noise),
                ]
                otherwise = "at eta 0, x_prev = sqrt(abar_prev) x0_hat + sqrt(1 - abar_prev) eps"
                if not close(got, self._step(student, x_t, eps, pair, 0.0, -2 * noise)):
                    otherwise = "at eta 0 the result still changes with the noise: sigma is 0 there"
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("eta > 0: the noise is scaled by sigma", 1)
    def noise(self, student: Student, draw: Draw) -> None:
        """Compare what the noise adds to the result with sigma * noise."""
        for x_t, eps, pair, noise in self._cases(draw):
            for eta in (float(draw.uniform(1, low=0.3, high=0.8)), 1.0):
                moved = self._step(student, x_t, eps, pair, eta, noise)
                moved = moved - self._step(student, x_t, eps, pair, eta, 0 * noise)
                if not close(moved, step_mistakes.ddim_sigma(*pair, eta) * noise):
                    require_repeatable(student, self.name, x_t, eps, *pair, eta, noise)
                    self._require_unbounded(student)
                    mistakes = [(s * noise, h) for s, h in step_mistakes.scale_mistakes(pair, eta)]
                    otherwise = "the noise must enter as sigma * noise, with the sigma of this eta"
                    raise WrongAnswer(diagnose(moved, mistakes, otherwise))

    @behaviour("eta > 0: the coefficient of eps is sqrt(1 - abar_prev - sigma^2)", 1)
    def direction(self, student: Student, draw: Draw) -> None:
        """Test how eta changes the result if the noise is 0."""
        for x_t, eps, pair, noise in self._cases(draw):
            for eta in (float(draw.uniform(1, low=0.5, high=0.8)), 1.0):
                got = self._step(student, x_t, eps, pair, eta, 0 * noise)
                moved = got - self._step(student, x_t, eps, pair, 0.0, 0 * noise)
                right = step_mistakes.ddim_step(x_t, eps, pair, eta, 0 * noise)
                given = x_t, eps, *pair, eta, 0 * noise
                if not close(moved, right - step_mistakes.ddim_step(x_t, eps, pair, 0.0, noise)):
                    require_repeatable(student, self.name, *given)
                    self._require_unbounded(student)
                    mistakes = [
                        (s * eps, h) for s, h in step_mistakes.direction_mistakes(pair, eta)
                    ]
                    own = self._step(student, x_t, eps, pair, eta, noise) - got  # sigma * noise
                    p, old = pair[1].double(), (1 - pair[1].double()).sqrt()
                    by_own = ((1 - p - (own / noise).mean() ** 2).sqrt() - old) * eps
                    mistakes.append((by_own, "only sigma is wrong here: see the hint about noise"))
                    x0 = self._step(student, x_t, eps, (pair[0], self.ONE), 0.0, noise)
                    a = pair[0].double()
                    sigma = step_mistakes.ddim_sigma(*pair, eta)
                    change = (1 - p - sigma**2).sqrt() - old
                    from_x0 = change * (x_t - a.sqrt() * x0) / (1 - a).sqrt()
                    mistakes.append((from_x0, FROM_X0))
                    otherwise = "the coefficient of eps is sqrt(1 - abar_prev - sigma^2)"
                    raise WrongAnswer(diagnose(moved, mistakes, otherwise))

    @behaviour("no noise on the last step, at any eta", 1)
    def last(self, student: Student, draw: Draw) -> None:
        """Test that eta and noise change nothing at abar_prev = 1, and do before it."""
        for x_t, eps, (a, p), noise in self._cases(draw):
            # So small that an answer cannot clip all of it to +-1.
            x_t, eps, noise = 0.1 * x_t, 0.1 * eps, 0.1 * noise
            for eta in (1.0, float(draw.uniform(1, low=0.3, high=0.8))):
                got = self._step(student, x_t, eps, (a, self.ONE), eta, noise)
                plain = self._step(student, x_t, eps, (a, self.ONE), 0.0, noise)
                if not close(got, plain):
                    raise WrongAnswer(
                        "noise is added on the last step: at abar_prev = 1, sigma is 0"
                    )
                if close(self._step(student, x_t, eps, (a, p), eta, noise), got):
                    raise WrongAnswer("an earlier step gives the same result: use abar_prev")

    @behaviour("whole runs: exact samples at eta 0, DDPM steps at eta 1", 1)
    def runs(self, student: Student, draw: Draw) -> None:
        """Run on data from one Gaussian, whose samples are known; then compare steps with DDPM."""
        run = GaussianRun(draw)
        x, noise = run.start, draw.signed(*run.start.shape)
        for pair, t in run.pairs():
            eps = run.eps(x, t)
            x = self._step(student, x.float(), eps.float(), pair, 0.0, noise).float()
        if not close(x, run.end()):
            off = float((x - run.exact).abs().max())
            raise WrongAnswer(
                f"a run at eta 0 over {len(run.kept)} uneven timesteps with a perfect model must "
                f"turn noise z into mean + std z; your samples differ by up to {off:.2g}"
            )
        betas, abar = draw_long_schedule(draw)
        for t in range(1, len(abar), 6):
            x_t, eps, noise = (draw.signed(3, 4) for _ in range(3))
            right = step_mistakes.ddpm_step(x_t, eps, betas[t], (abar[t], abar[t - 1]), noise)
            got = self._step(student, x_t, eps, (abar[t], abar[t - 1]), 1.0, noise)
            if not close(got, right):
                pair = abar[t], abar[t - 1]
                require_repeatable(student, self.name, x_t, eps, *pair, 1.0, noise)
                raise WrongAnswer("at eta 1 a step between neighbours must equal the DDPM step")

    def _require_unbounded(self, student: Student) -> None:
        if self._is_bounded(student):
            raise WrongAnswer(CLIPPED)

    def _is_bounded(self, student: Student) -> bool:
        """Return whether a sign's small results are right and its large ones are all equal."""
        x_t, eps = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.2, 0.4]])
        pairs = [(torch.tensor(a), torch.tensor(p)) for a, p in ((0.5, 0.8), (0.3, 0.6))]

        def at(size: float, pair: step_mistakes.Pair) -> tuple[Tensor, Tensor]:
            given = size * x_t, size * eps, pair, 0.0, 0 * eps
            return self._step(student, *given), step_mistakes.ddim_step(*given)

        for sign in (1.0, -1.0):
            large, *others = (at(sign * size, pair)[0] for pair in pairs for size in (1e3, 2e3))
            is_right = all(close(*at(0.1 * sign, pair)) for pair in pairs)
            # Clipped inputs have another bound for each pair.
            if is_right and all(close(other, large) for other in others):
                return True
        return False

    def _cases(self, draw: Draw) -> list[tuple[Tensor, Tensor, step_mistakes.Pair, Tensor]]:
        """Return (x_t, eps, abar of both timesteps, noise), with another gap for each shape."""
        cases = []
        for shape, pair in zip(step_mistakes.SHAPES, step_mistakes.draw_pairs(draw), strict=True):
            x_t = step_mistakes.draw_x(draw, *shape)
            cases.append((x_t, draw.signed(*shape), pair, draw.signed(*shape)))
        return cases

    def _step(
        self,
        student: Student,
        x_t: Tensor,
        eps: Tensor,
        pair: step_mistakes.Pair,
        eta: float,
        noise: Tensor,
    ) -> Tensor:
        result = student.call(self.name, x_t, eps, *pair, eta, noise)
        if isinstance(result, Tensor) and result.isnan().any():
            raise WrongAnswer(
                "the result contains NaN: look for a negative number under a square root. "
                "If it is 1 - abar_prev - sigma^2, then sigma is too large, or the arguments of "
                "ddim_sigma are in another order than abar_t, abar_prev, eta"
            )
        return as_tensor(result, x_t.shape, "of x_t")
