"""Checks of notebook 06, first part: the conditioned noise predictor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograder.checks.base import (
    Check,
    Draw,
    as_tensor,
    behaviour,
    close,
    require_gradients,
)
from autograder.checks.student import Student
from autograder.inside.stubs import Filled, Settings
from autograder.inside.student import Handle, WrongAnswer

Inputs = tuple[Tensor, Tensor, Tensor]  # x_t (B, D), t (B,), cond (B, E)


class EpsMLPCond(Check):
    """A network of any design that predicts noise from a noisy latent, the time and a condition."""

    name = "eps_mlp_cond"
    answer = "EpsMLPCond"
    points = 9
    seals = ("mnistdiff.latent:EpsMLPCond.forward", "mnistdiff.latent:EpsMLPCond.__init__")

    # All sizes differ, so that swapped axes raise. WIDTH is so large that a layer of ReLUs is
    # never zero as a whole.
    LATENT, WIDTH, TIME, COND, BATCH = 5, 40, 24, 28, 4
    MANY = 64  # rows, so that randomness per row shows even if it is rare
    OFTEN = 50  # calls, so that randomness per call shows

    @behaviour("eps (B, D) depends on x_t and on t, also with a condition", 1)
    def depends(self, student: Student, draw: Draw) -> None:
        """Test batches of several rows and of one."""
        for batch in (self.BATCH, 1):
            _until_seen(self._require_inputs_used, student, draw, batch)

    def _require_inputs_used(self, student: Student, draw: Draw, batch: int) -> None:
        model, (x_t, t, cond) = self._model(student, draw), self._inputs(draw, batch)
        eps = self._eps(student, model, x_t, t, cond)
        if close(self._eps(student, model, draw.signed(*x_t.shape), t, cond), eps):
            raise Unseen("eps does not change with x_t: use x_t as an input too")
        if close(self._eps(student, model, x_t, t + 7, cond), eps):
            raise Unseen(
                "eps does not change with t if a condition is given: add the condition to "
                "embed_time(t), do not replace it"
            )

    @behaviour("the condition changes eps, the same way on every call", 2)
    def condition(self, student: Student, draw: Draw) -> None:
        """Test evaluation and training mode, with batches of several rows, of one and of many."""
        for training in (False, True):
            for batch in (self.BATCH, 1, self.MANY):
                _until_seen(self._require_condition_used, student, draw, batch, training)

    def _require_condition_used(
        self, student: Student, draw: Draw, batch: int, training: bool
    ) -> None:
        model = self._model(student, draw, training=training)
        x_t, t, cond = arguments = self._inputs(draw, batch)
        eps = self._eps(student, model, *arguments)
        again = self.OFTEN if training and batch == 1 else 1
        if not all(close(self._eps(student, model, *arguments), eps) for _ in range(again)):
            raise WrongAnswer(DRAWN)
        others = (size * draw.signed(*cond.shape) for size in SIZES)
        if all(close(self._eps(student, model, x_t, t, other), eps) for other in others):
            mode = "training" if training else "evaluation"
            raise Unseen(f"eps does not change with the condition, in {mode} mode: {USE}")

    @behaviour("row i of eps depends on row i of x_t, t and cond only", 1)
    def rows(self, student: Student, draw: Draw) -> None:
        """Test each row alone, and change the condition of one row in a batch."""
        for i in range(self.BATCH):
            _until_seen(self._require_own_row, student, draw, i, self.BATCH, False)
        _until_seen(self._require_own_row, student, draw, 0, self.MANY, True)

    def _require_own_row(
        self, student: Student, draw: Draw, i: int, batch: int, training: bool
    ) -> None:
        model = self._model(student, draw, training=training)
        x_t, t, cond = self._inputs(draw, batch)
        eps = self._eps(student, model, x_t, t, cond)
        changed, others, row = cond.clone(), torch.arange(batch) != i, slice(i, i + 1)
        for size in SIZES:
            changed[i] = size * draw.signed(self.COND)
            moved = self._eps(student, model, x_t, t, changed) - eps
            if not close(moved[others], 0 * moved[others]):
                raise WrongAnswer(f"the condition of one row changes other rows of eps: {MIXED}")
            if not close(moved[i], 0 * moved[i]):
                break
        alone = self._eps(student, model, x_t[row], t[row], cond[row])
        if not close(alone, eps[row]):
            raise WrongAnswer(f"a row alone gives a different eps than in its batch: {MIXED}")
        if close(moved[i], 0 * moved[i]):
            raise Unseen(f"the condition of a row does not change that row of eps: {USE}")

    @behaviour("gradients reach the condition branch and the other given parts", 1)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test the gradient of x_t in place of the stem, which an answer may replace."""
        _until_seen(self._require_parts_learn, student, draw)

    def _require_parts_learn(self, student: Student, draw: Draw) -> None:
        model, inputs = self._model(student, draw), self._inputs(draw, self.BATCH)
        self._eps(student, model, *inputs)
        parts = "cond", "time", "blocks", "head"
        found = student.grad(model, inputs, (*parts, 0, 2))
        through = found.pop()  # to every entry of cond: the student may use layers of their own
        if found[0] is None and through is not None and bool(through.any(0).all()):
            found[0] = through
        _require_learning(found, *(f"self.{name}" for name in parts), "x_t")

    @behaviour("the condition enters before the last layer, whose output is eps", 2)
    def inside(self, student: Student, draw: Draw) -> None:
        """A head of zeros must give eps = 0, and the effect of the condition must depend on x_t."""
        _until_seen(self._require_early_condition, student, draw)
        _until_seen(self._require_both_signs, student, draw)
        self._require_unbounded(student, draw)
        self._require_plain_head(student, draw)

    def _require_early_condition(self, student: Student, draw: Draw) -> None:
        x_t, t, cond = self._inputs(draw, self.BATCH)
        other, x_other = draw.signed(*cond.shape), draw.signed(*x_t.shape)
        model = self._model(student, draw)
        (a, b), (c, d) = (
            [self._eps(student, model, x, t, given) for given in (cond, other)]
            for x in (x_t, x_other)
        )
        effects = a - b, c - d
        if close(effects[0], 0 * effects[0]):
            raise Unseen(f"eps does not change with the condition: {USE}")
        if close(*effects):
            raise Unseen(f"the condition shifts eps by the same amount for every x_t: {LATE}")
        if close(a * d, b * c):
            raise Unseen(f"the condition scales eps by the same factor for every x_t: {LATE}")

    def _require_both_signs(self, student: Student, draw: Draw) -> None:
        eps = self._eps(student, self._model(student, draw), *self._inputs(draw, self.MANY))
        if not eps.min() < 0 < eps.max():
            raise Unseen(f"eps never changes its sign, but noise has both signs: {AS_IS}")
        if close(means := eps.mean(1), 0 * means):
            raise WrongAnswer(f"the entries of each row of eps add up to 0: {AS_IS}")

    def _require_unbounded(self, student: Student, draw: Draw) -> None:
        inputs = self._inputs(draw, self.BATCH)
        large, larger = (
            self._eps(student, self._model(student, draw, head=size), *inputs)
            for size in (1e4, 2e4)
        )
        if close(large, larger):
            raise WrongAnswer(f"eps stays the same while the weights of `head` double: {AS_IS}")

    def _require_plain_head(self, student: Student, draw: Draw) -> None:
        x_t, t, cond = self._inputs(draw, self.BATCH)
        headless = self._model(student, draw, head=0.0)
        left = self._eps(student, headless, x_t, t, cond)
        if close(left, 0 * left):
            return
        other = self._eps(student, headless, x_t, t, draw.signed(*cond.shape))
        if not close(other, left):
            raise WrongAnswer(f"the condition still changes eps when `head` gives zero: {LATE}")
        if close(left, x_t) or close(left, -x_t):
            raise WrongAnswer(
                "x_t is added to the output, or eps subtracted from it: the network must return "
                "only the noise, eps"
            )
        raise WrongAnswer(f"eps is not 0 when `head` gives zero: {AS_IS}")

    @behaviour("cond=None gives the null condition, which is learned", 2)
    def null(self, student: Student, draw: Draw) -> None:
        """Use a null condition that is not zero, as after training."""
        for batch in (self.BATCH, 1):
            _until_seen(self._require_null_condition, student, draw, batch)

    def _require_null_condition(self, student: Student, draw: Draw, batch: int) -> None:
        null = draw.signed(self.COND)
        model = self._model(student, draw, null_cond=null)
        x_t, t, cond = self._inputs(draw, batch)
        eps = self._eps(student, model, x_t, t, None)
        given = self._eps(student, model, x_t, t, null.expand_as(cond).contiguous())
        if not close(eps, given):
            if close(eps, self._eps(student, model, x_t, t, 0 * cond)):
                raise WrongAnswer(ZEROS)
            again = self._eps(student, model, x_t, t, None)
            raise WrongAnswer(NULL if close(again, eps) else DRAWN)
        found = student.grad(model, (x_t, t, None), ("null_cond",))
        _require_learning(found, "self.null_cond")

    def _model(self, student: Student, draw: Draw, training: bool = False, **given: Any) -> Handle:
        """Build the student's network with random weights, since many start at zero."""
        config = Settings(
            "mnistdiff.latent:EpsMLPCondConfig",
            latent_dim=self.LATENT,
            width=self.WIDTH,
            blocks=1,
            emb_dim=self.TIME,
            cond_dim=self.COND,
        )
        weights = Filled(int(draw.order(1000)[0]), given)
        return student.new(self.answer, config, weights, training=training)

    def _inputs(self, draw: Draw, batch: int) -> Inputs:
        """Return x_t (B, D), t (B,), all different, and cond (B, E)."""
        t = 3 + 5 * draw.order(batch + 2)[:batch]
        return draw.signed(batch, self.LATENT), t, draw.signed(batch, self.COND)

    def _eps(self, student: Student, model: Handle, x_t: Tensor, *rest: Tensor | None) -> Tensor:
        return as_tensor(student.call(model, x_t, *rest), x_t.shape, "(B, D)")


class Unseen(WrongAnswer):
    """One draw does not show an effect; another one may."""


def _until_seen(test: Callable, *arguments: object) -> None:
    """Run a test that draws its own inputs, again if it raises Unseen, up to DRAWS times.

    A draw can saturate a layer and hide an effect. A mark must not depend on that luck.
    """
    for left in reversed(range(DRAWS)):
        try:
            return test(*arguments)
        except Unseen:
            if not left:
                raise


def _require_learning(gradients: list[Tensor | None], *names: str) -> None:
    try:
        require_gradients(gradients, *names)
    except WrongAnswer as wrong:
        raise Unseen(str(wrong)) from None


DRAWS = 12
SIZES = 1.0, 2.0, 4.0  # of another condition: an attention layer may hardly react to the first
USE = "in forward, pass cond through self.cond and on into the network"
MIXED = "keep the rows separate, with no mean, no [0] and no normalisation over the batch"
LATE = (
    "it enters after the last layer, where it cannot change how x_t is processed; pass it into "
    "the blocks through emb"
)
AS_IS = (
    "return the output of `head`, as `denoise` does, without a change (no clamp, no tanh, no sum)"
)
DRAWN = (
    "two calls with the same arguments give different results: do not draw random numbers inside "
    "(noise, dropout, new layers); drop_condition drops the condition, during training"
)
NULL = "cond=None must give the same eps as self.null_cond in every row: expand it to (B, E)"
ZEROS = "None is treated as zeros: use self.null_cond, which is learned, in its place"
