"""Checks of notebook 05, first part: the contrastive loss of CLIP."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    behaviour,
    close,
    diagnose,
    require_repeatable,
    require_slopes,
    require_untouched,
)
from autograder.inside.student import WrongAnswer


def unit(x: Tensor) -> Tensor:
    """Rows of length 1, in float32."""
    return F.normalize(x.double(), dim=1).float()


class ContrastiveLoss(Check):
    """CLIP's loss: every image finds its text in the batch, and every text its image."""

    name = "contrastive_loss"
    points = 6
    seals = ("mnistdiff.clip:contrastive_loss",)
    ONE = torch.tensor(1.0)

    @behaviour("mean cross-entropy of the similarities, with the diagonal as target", 2)
    def value(self, student: Any, draw: Draw) -> None:
        """On rows of length 1, as similar one way as the other, at a logit_scale of 1."""
        for shape in ((5, 7), (4, 4), (6, 3)):
            images, texts = self._symmetric(draw, shape)
            got = self._loss(student, images, texts, self.ONE)
            if not close(got, self._cross_entropy(images, texts)):
                require_repeatable(student, self.name, images, texts, self.ONE)
                otherwise = "row i of images @ texts.T must pick out column i: cross-entropy"
                raise WrongAnswer(diagnose(got, self._mistakes(images, texts), otherwise))

    @behaviour("the lengths of the embeddings do not matter", 1)
    def lengths(self, student: Any, draw: Draw) -> None:
        """Against what the student's own code gives for rows of length 1."""
        seen = []
        for side in (0, 1):
            pair = [unit(draw.signed(5, 6)) for _ in range(2)]
            once = self._loss(student, *pair, self.ONE)
            pair[side] = pair[side] * draw.uniform(5, 1, low=2.0, high=9.0)
            if not close(self._loss(student, *pair, self.ONE), once):
                what = ("image_emb", "text_emb")[side]
                raise WrongAnswer(
                    f"the loss changes with the length of {what}: cosine similarity divides each "
                    "row by its own norm, F.normalize(x, dim=1)"
                )
            pair[side] = pair[side].roll(1, 0)
            seen.append(close(self._loss(student, *pair, self.ONE), once))
        if all(seen):
            raise WrongAnswer("the loss stays the same when images and texts no longer match")

    @behaviour("both directions count, with the same weight", 1)
    def symmetric(self, student: Any, draw: Draw) -> None:
        """Three images near one text: one way the loss is much higher than the other."""
        for _ in range(2):
            images, texts = (unit(draw.signed(5, 6)) for _ in range(2))
            images[1:] = unit(texts[:1] + 0.3 * images[1:])
            one, other = self._loss(student, images, texts), self._loss(student, texts, images)
            if not close(one, other):
                raise WrongAnswer(
                    "swapping images and texts changes the loss: average the cross-entropy over "
                    "rows (image to text) and over columns, similarity.T (text to image)"
                )
            pair = self._symmetric(draw, (5, 6))
            size = self._loss(student, *pair) / self._cross_entropy(*pair, 4.0)
            ways = [self._cross_entropy(*p, 4.0) for p in ((images, texts), (texts, images))]
            if close(one, size * max(ways)) or close(one, size * min(ways)):
                raise WrongAnswer(
                    "average the two directions: do not pick the larger or the smaller"
                )
        alike, apart = unit(draw.signed(1, 6) + 0.3 * draw.signed(5, 6)), torch.eye(5, 6)
        if close(*(self._loss(student, rows, rows, self.ONE) for rows in (alike, apart))):
            raise WrongAnswer(ONLY_PAIRS)

    @behaviour("logit_scale multiplies the similarities, as it is", 1)
    def scale(self, student: Any, draw: Draw) -> None:
        """Rows half as similar at a scale twice as large give the same, a float or a tensor."""
        rows = unit(draw.signed(2, 6))
        rows = torch.cat([rows, -rows])  # as alike and as unlike as can be
        self._loss(student, rows, rows.roll(2, 0), torch.tensor(100.0))
        seen = []
        for size in (2.0, 0.4, 12.0):
            images, texts = (unit(draw.signed(5, 6)) for _ in range(2))
            rest, none = torch.full((5, 1), 0.5**0.5), torch.zeros(5, 1)
            half = [0.5**0.5 * images, rest, none], [0.5**0.5 * texts, none, rest]
            half = [torch.cat(columns, 1) for columns in half]
            got = self._loss(student, *half, torch.tensor(2 * size))
            if not close(got, self._loss(student, images, texts, size)):
                raise WrongAnswer(self._scale_hint(student, images, texts, size))
            seen.append(close(got, self._loss(student, images, texts, size / 2)))
        if all(seen):
            raise WrongAnswer("logit_scale has no influence: it multiplies the cosine similarities")

    @behaviour("gradients reach both embeddings and logit_scale; arguments stay as they are", 1)
    def gradient(self, student: Any, draw: Draw) -> None:
        """Without them one of the encoders, or the scale, cannot learn."""
        images = draw.signed(5, 6)
        texts = draw.signed(5, 6) - images  # unlike: a larger scale is worse, never just as good
        arguments = images, texts, torch.tensor(3.0)
        self._loss(student, *arguments)
        names = "image_emb", "text_emb", "logit_scale"
        require_untouched(student, self.name, arguments, names)
        require_slopes(student, self.name, arguments, dict(enumerate(names)), draw)

    def _symmetric(self, draw: Draw, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Rows of length 1 with image i as similar to text j as image j to text i."""
        images, axis = unit(draw.signed(*shape)), unit(draw.signed(1, shape[1]))
        return images, unit(images - 2 * (images @ axis.T) * axis)

    def _cross_entropy(self, rows: Tensor, columns: Tensor, scale: float = 1.0) -> Tensor:
        """One direction, in float64."""
        similarity = scale * rows.double() @ columns.double().T
        return -similarity.log_softmax(1).diag().mean()

    def _both(self, images: Tensor, texts: Tensor, scale: float = 4.0) -> Tensor:
        one = self._cross_entropy(images, texts, scale)
        return (one + self._cross_entropy(texts, images, scale)) / 2

    def _loss(
        self, student: Any, images: Tensor, texts: Tensor, scale: Tensor | float | None = None
    ) -> float:
        given = torch.tensor(4.0) if scale is None else scale
        result = student.call(self.name, images, texts, given)
        shape = tuple(getattr(result, "shape", ()))
        if shape:
            raise WrongAnswer(f"expected a scalar, got shape {shape}: average over the batch")
        if isinstance(result, Tensor) and not result.isfinite():
            raise WrongAnswer(
                f"the loss is {result.item()} at a logit_scale of {float(given):g}: exp overflows, "
                "and log(0) follows; F.cross_entropy or logsumexp are safe"
            )
        return as_number(result, "the loss")

    def _scale_hint(self, student: Any, images: Tensor, texts: Tensor, size: float) -> str:
        got = self._loss(student, images, texts, size)
        both = [
            (self._both(images, texts, 1.0), "logit_scale has no influence: multiply by it"),
            (self._both(images, texts, 1 / size), "logit_scale multiplies, it does not divide"),
            (self._both(images, texts, torch.tensor(size).exp().item()), EXP),
            (self._both(images, texts, size**0.5), "logit_scale comes in without a square root"),
            (self._both(images, texts, size**2), "logit_scale comes in twice"),
            (
                size * self._both(images, texts, 1.0),
                "logit_scale multiplies the similarities, not the loss",
            ),
        ]
        return diagnose(got, both, "logit_scale must multiply the cosine similarities, once")

    def _mistakes(self, images: Tensor, texts: Tensor) -> list[tuple]:
        """What a wrong loss comes out as, and why."""
        similarity, n = images.double() @ texts.double().T, len(images)
        right, same = self._cross_entropy(images, texts), torch.eye(n, dtype=torch.float64)
        columns = [F.normalize(side.double(), dim=0) for side in (images, texts)]
        pick = "the target of row i is i, torch.arange(B)"
        bce = F.binary_cross_entropy_with_logits
        return [
            (n * right, "you summed over the batch: take the mean"),
            (2 * n * right, "you summed over the batch and both directions: take the means"),
            (2 * right, "the two directions are averaged: divide their sum by 2"),
            (right / 2, "one division by 2 too many: each direction counts one half"),
            (right / n, "you averaged over all entries: one per row, the mean over B rows"),
            (-right, "the sign is wrong: the loss is minus the log probability of the match"),
            (self._cross_entropy(*columns), BATCH),
            (self._both(*columns, 1.0), BATCH),
            (self._both(images, texts, torch.e), EXP),
            (bce(similarity, same), "each row is one choice among B, a softmax: cross_entropy"),
            (bce(similarity, same, reduction="sum") / n, "each row is one choice: cross_entropy"),
            (F.cross_entropy(similarity, similarity.argmax(1)), f"not what is most likely: {pick}"),
            (F.cross_entropy(similarity, 0 * torch.arange(n)), f"not the first column: {pick}"),
            (-similarity.diag().mean(), ONLY_PAIRS),
            (F.mse_loss(similarity, same), "cross-entropy is asked, no squared error"),
            (-similarity.softmax(1).diag().mean(), "the logarithm of the probability is missing"),
            (-similarity.flatten().log_softmax(0).view(n, n).diag().mean(), SOFTMAX),
            (F.cross_entropy(similarity.softmax(1), torch.arange(n)), TWICE),
        ]


EXP = "logit_scale is exponentiated again: it multiplies the similarities as it is"
BATCH = "you normalised over the batch (dim=0): every row is divided by its own norm (dim=1)"
ONLY_PAIRS = "only matching pairs count: those that do not belong together must be pushed apart"
SOFTMAX = "the softmax goes over one row, or one column, at a time, not over all entries"
TWICE = "cross_entropy takes the similarities themselves: it contains the softmax"
