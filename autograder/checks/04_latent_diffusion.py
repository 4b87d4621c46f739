"""Checks of notebook 04: the scaling factor of the latents and the training loss on them."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.checks import step_mistakes
from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    behaviour,
    close,
    diagnose,
    require_finite,
    require_gradients,
    require_repeatable,
)
from autograder.checks.student import Student
from autograder.inside.stubs import Stub
from autograder.inside.student import WrongAnswer


class ScalingFactor(Check):
    """One number that gives all latents together a standard deviation of 1."""

    name = "scaling_factor"
    points = 3
    seals = ("mnistdiff.latent:compute_scaling_factor",)

    @behaviour("one number, which halves when the latents double", 1)
    def inverse(self, student: Student, draw: Draw) -> None:
        """Compare with the student's own value for the same latents, scaled down."""
        latents = 0.3 * self._latents(draw)
        once = self._factor(student, latents)
        for size in draw.uniform(3, low=2.0, high=9.0).tolist():
            got = self._factor(student, size * latents)
            mistakes = [
                (once * size, "the factor grows with the latents: it must be 1 / std, not std"),
                (once * size**2, "the factor grows with the latents: it must be 1 / std"),
                (
                    once / size**2,
                    "the factor falls with the square of the latents' size, as 1 / variance does: "
                    "take the square root, the factor is 1 / std",
                ),
                (
                    once / size**0.5,
                    "the factor falls with the root of the latents' size, so there is one square "
                    "root too many: it is 1 / std",
                ),
                (once, "the factor does not depend on the size of the latents"),
            ]
            if not close(got, once / size):
                otherwise = "if the latents are k times larger, the factor must be k times smaller"
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("1 / the standard deviation over all entries", 2)
    def value(self, student: Student, draw: Draw) -> None:
        """Use latents whose dimensions differ in mean and spread. Accept both n and n - 1."""
        for size in (0.2, 5.0):
            latents = size * self._latents(draw)
            got, wide = self._factor(student, latents), latents.double()
            per_dim, per_row = wide.std(0), wide.std(1)
            over_all = "take the standard deviation over all entries together"
            mistakes = [
                (wide.std(), "this is std itself: the factor is 1 / std"),
                (wide.var(), "this is the variance: the factor is 1 / std"),
                (1 / wide.var(), "this is 1 / variance: the factor is 1 / std"),
                (1 / per_dim.mean(), f"you averaged over the dimensions: {over_all}"),
                ((1 / per_dim).mean(), f"you averaged over the dimensions: {over_all}"),
                (1 / per_row.mean(), f"you averaged over the rows: {over_all}"),
                (
                    1 / per_dim.square().mean().sqrt(),
                    f"you averaged the variances per dimension: {over_all}",
                ),
                (1 / wide.square().mean().sqrt(), "subtract the mean before squaring"),
                (
                    1 / (wide - wide.median()).square().mean().sqrt(),
                    "subtract the mean, not the median",
                ),
                (1 / wide.mean(), "you used the mean, not the standard deviation"),
                (1 / wide.norm(), "you used the norm, a sum: the std is the root of a mean"),
                (1 / wide.abs().std(), "you used the spread of the sizes: keep the signs"),
                (1 / (wide - wide.mean()).abs().mean(), MEAN_SIZE),
                (1 / wide.abs().mean(), MEAN_SIZE),
                (1 / wide.abs().max(), "you used the largest entry, not the standard deviation"),
                (1 / (wide.max() - wide.min()), "you used the range, not the standard deviation"),
                (1 / wide[0].std(), f"you used the first row only: {over_all}"),
                (-1 / wide.std(), "the sign is wrong"),
            ]
            if not any(close(got, 1 / wide.std(correction=c)) for c in (0, 1)):
                raise WrongAnswer(diagnose(got, mistakes, f"the factor is 1 / std: {over_all}"))

    def _latents(self, draw: Draw) -> Tensor:
        """Return (40, 5); each dimension has its own mean and spread; mean and median differ.

        Entries of both signs, so that sizes have another spread.
        """
        means, spreads = 0.5 + 0.6 * draw.signed(1, 5), draw.uniform(1, 5, low=0.3, high=1.5)
        latents = means + spreads * draw.signed(40, 5)
        latents[:8] += 4.0
        return latents

    def _factor(self, student: Student, latents: Tensor) -> float:
        result = student.call(self.name, latents)
        require_finite(result, "the factor")
        if isinstance(result, Tensor) and result.numel() > 1:
            shape = tuple(result.shape)
            raise WrongAnswer(
                f"expected one number for all latents, got shape {shape}: call std without dim"
            )
        factor = as_number(result, "the factor")
        if factor == 0:
            raise WrongAnswer("the factor is 0, which would make all latents 0")
        return factor


NO_PREDICTION = "the loss does not depend on what the model predicts"
MEAN_SIZE = "you used the mean absolute value, not the standard deviation"


class LatentLoss(Check):
    """The mean squared error of the noise that a model predicts in noised latents."""

    name = "latent_loss"
    points = 5
    seals = ("mnistdiff.latent:latent_loss",)
    # add_noise is a cell of another notebook: here the library's version is used.
    stand_ins: ClassVar = {"add_noise": "mnistdiff.schedules:add_noise"}

    @behaviour("mean squared error between the prediction and the noise", 2)
    def error(self, student: Student, draw: Draw) -> None:
        """Use a model whose prediction does not depend on its input."""
        for shape in ((4, 6), (1, 5), (3, 3)):
            z0, t, noise, abar = self._inputs(draw, shape)
            abar = 1 - (1 - abar) / 10  # an SNR so high that min-SNR weights show
            inputs = z0, t, noise, abar
            guess = draw.signed(*shape, low=2.0, high=3.0)
            guess[0, 0] *= 8  # so large that clipping shows
            got = self._loss(student, self._model(bias=guess), *inputs)
            if not close(got, (guess.double() - noise).square().mean()):
                require_repeatable(student, self.name, self._model(bias=guess), *inputs)
                mistakes = self._mistakes(guess.double(), z0, t, noise, abar)
                otherwise = self._property(student, guess, inputs)
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("the model gets z_t, the noised latents", 1)
    def noised(self, student: Student, draw: Draw) -> None:
        """Use a model whose prediction is a linear map of its input, plus an offset per entry."""
        for shape in ((4, 6), (5, 5)):
            inputs = z0, t, noise, abar = self._inputs(draw, shape)
            mix, off = draw.signed(shape[1], shape[1]), draw.signed(*shape)
            a = abar.double()[t][:, None]
            mistakes = [
                (z0, "the model is given z0: noise it first, with add_noise"),
                (noise, "the model is given the noise itself: give it z_t"),
                (z0 + noise, "you added the noise without scales: use add_noise"),
                (a * z0 + (1 - a) * noise, "the square roots are missing in z_t: use add_noise"),
                ((1 - a).sqrt() * z0 + a.sqrt() * noise, "z0 and noise are swapped in z_t"),
            ]
            self._require_prediction(
                student,
                {"A": mix, "bias": off},
                inputs,
                (a.sqrt() * z0 + (1 - a).sqrt() * noise) @ mix.T.double() + off,
                [(z_t.double() @ mix.T.double() + off, hint) for z_t, hint in mistakes],
                "the input of the model must be z_t = add_noise(z0, t, noise, abar)",
            )

    @behaviour("the model gets t, one per row", 1)
    def time(self, student: Student, draw: Draw) -> None:
        """Use a model whose prediction is a multiple of t, plus an offset per entry."""
        for shape in ((4, 6), (1, 5)):
            inputs = _, t, _, abar = self._inputs(draw, shape)
            slope, off = draw.signed(shape[1]), draw.signed(*shape)
            age, total = t.double(), len(abar)
            mistakes = [
                (age / total, "you divided t by T: pass t unchanged"),
                (age / (total - 1), "you divided t by T - 1: pass t unchanged"),
                (age + 1, "you added 1 to t: pass t unchanged"),
                (age - 1, "you subtracted 1 from t: pass t unchanged"),
                (abar[t], "the model is given abar_t: pass t itself"),
                (0 * age, "the model is always given t = 0: pass t"),
                (age[:1].expand_as(age), "every row gets the t of the first row: pass all of t"),
            ]
            self._require_prediction(
                student,
                {"slope": slope, "bias": off},
                inputs,
                age[:, None] * slope + off,
                [(given.double()[:, None] * slope + off, hint) for given, hint in mistakes],
                "call the model as model(z_t, t), with t unchanged",
            )

    @behaviour("gradients reach the model's weights", 1)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test this because without gradients nothing can be trained."""
        z0, t, noise, abar = self._inputs(draw, (4, 6))
        model = self._model(A=draw.signed(6, 6), bias=draw.signed(4, 6))
        arguments = [model, z0, t, noise, abar]
        self._loss(student, *arguments)
        found = student.grad(self.name, arguments, ((0, "A"), (0, "bias")))
        require_gradients(found, "the model's weights", "the model's bias")

    def _inputs(self, draw: Draw, shape: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return z0 (B, D), t (B,) above 1, noise (B, D) and abar (T,)."""
        abar = step_mistakes.draw_schedule(draw, 12)[1]
        return draw.signed(*shape), 2 + draw.order(10)[: shape[0]], draw.signed(*shape), abar

    def _model(self, **weights: Tensor) -> Stub:
        """Return the model eps = A z_t + slope t + bias; weights that are not given are zero."""
        dim = next(iter(weights.values())).shape[-1]
        zeros = {"A": torch.zeros(dim, dim), "slope": torch.zeros(dim), "bias": torch.zeros(dim)}
        return Stub("linear_eps", **zeros | weights)

    def _loss(self, student: Student, *arguments: object) -> float:
        result = student.call(self.name, *arguments)
        require_finite(result, "the loss")
        shape = tuple(getattr(result, "shape", ()))
        if shape:
            raise WrongAnswer(f"expected a scalar, got shape {shape}: average over all entries")
        return as_number(result, "the loss")

    def _require_prediction(
        self,
        student: Student,
        weights: dict[str, Tensor],
        inputs: tuple[Tensor, ...],
        right: Tensor,
        mistakes: list[tuple],
        otherwise: str,
    ) -> None:
        """Raise WrongAnswer unless a model with these weights was led to predict `right`.

        A fixed prediction tells: it must give the student's own loss, whatever that loss is. So
        another loss or target costs its own points only.
        """

        def loss(prediction: Tensor) -> float:
            return self._loss(student, self._model(bias=prediction.float()), *inputs)

        got = self._loss(student, self._model(**weights), *inputs)
        if not close(got, loss(right)):
            require_repeatable(student, self.name, self._model(**weights), *inputs)
            found = (hint for prediction, hint in mistakes if close(got, loss(prediction)))
            raise WrongAnswer(next(found, otherwise))
        blind = close(loss(0 * right), got) or close(loss(2 * right), got)
        if blind and close(loss(-right), got):
            raise WrongAnswer(NO_PREDICTION)

    def _property(self, student: Student, guess: Tensor, inputs: tuple[Tensor, ...]) -> str:
        """Return the hint of the first property of a mean squared error that the loss lacks."""
        z0, t, noise, abar = inputs

        def loss(guess: Tensor, z0: Tensor = z0, t: Tensor = t) -> float:
            return self._loss(student, self._model(bias=guess), z0, t, noise, abar)

        once, twice = loss(guess), loss(2 * guess - noise)  # of all errors, and of doubled ones
        same = "although the prediction and the noise stay the same"
        if close(loss(0 * guess), once) and close(loss(-guess), once):
            return NO_PREDICTION
        if not close(loss(guess, z0=2 * z0), once):
            return f"the loss changes with z0, {same}: compare the prediction with noise only"
        if not close(loss(guess, t=13 - t), once):
            depends = "neither a weight (SNR) nor the target depends on t"
            return f"the loss changes with t, {same}: {depends}"
        for place in (0, int(guess.argmax()), int(guess.argmin())):
            of_noise = float(noise.flatten()[place])
            values = 2 * float(guess.flatten()[place]), of_noise, -of_noise
            larger, *others = (close(loss(_with_entry(guess, place, v)), once) for v in values)
            if larger and all(others):
                return "an entry of the prediction has no effect: take the mean over all entries"
            if larger:
                return (
                    "the loss stays the same if a prediction grows: do not clip the prediction, "
                    "and take the mean, not a median or a largest value"
                )
        if not 3.5 * once < twice < 4.5 * once:
            kind = ", not its absolute value, a root or a Huber loss" if twice < 4 * once else ""
            return (
                f"twice the errors give {twice / once:.3g} times the loss, but squares give 4 "
                f"times: take the squared error{kind}"
            )
        return "the loss is the mean of (model(z_t, t) - noise)^2 over all entries"

    def _mistakes(self, guess: Tensor, z0: Tensor, t: Tensor, noise: Tensor, abar: Tensor) -> list:
        """Return the values of typical wrong losses, each with its hint."""
        a = abar.double()[t][:, None]
        z_t, error = a.sqrt() * z0 + (1 - a).sqrt() * noise, guess - noise
        x0_hat = (z_t - (1 - a).sqrt() * guess) / a.sqrt()
        over = "take the mean over all entries"
        v = a.sqrt() * noise - (1 - a).sqrt() * z0
        return [
            (error.square().mean() / len(t), f"you divided by the batch size once more: {over}"),
            ((guess - v).square().mean(), "compare the prediction with noise, not with v"),
            (error.square().sum(), f"you summed the squared errors: {over}"),
            (error.square().sum(1).mean(), f"you summed over the latent dimensions: {over}"),
            (error.square().mean(1).sum(), f"you summed over the batch: {over}"),
            (error.square().mean() / 2, "the loss has no factor 1/2"),
            (-error.square().mean(), "the sign is wrong: a mean of squares is never negative"),
            (F.huber_loss(guess, noise.double()), "square every error: this is a Huber loss"),
            (
                error.square().mean().sqrt(),
                "take no square root: the loss is the mean squared error",
            ),
            (error.abs().mean(), "square the error, do not take its absolute value"),
            (error.mean(), "square the error before you take the mean"),
            ((guess - z0).square().mean(), "the model predicts the noise: compare with noise"),
            ((guess - z_t).square().mean(), "compare the prediction with noise, not with z_t"),
            ((x0_hat - z0).square().mean(), "compare eps with noise, not x0_hat with z0"),
            (
                (guess + noise).square().mean(),
                "you added the noise: the error is prediction minus noise",
            ),
        ]


def _with_entry(tensor: Tensor, place: int, value: float) -> Tensor:
    """Return a copy in which one entry, counted in the flat tensor, is another number."""
    copy = tensor.clone()
    copy.view(-1)[place] = value
    return copy
