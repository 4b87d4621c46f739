"""Checks of notebook 05, first part: the contrastive loss of CLIP."""

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
)
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer


def unit(x: Tensor) -> Tensor:
    """Return the rows scaled to length 1, in float32."""
    return F.normalize(x.double(), dim=1).float()


class ContrastiveLoss(Check):
    """The loss of CLIP: each image must find its text in the batch, and each text its image."""

    name = "contrastive_loss"
    points = 6
    seals = ("mnistdiff.clip:contrastive_loss",)
    ONE = torch.tensor(1.0)

    @behaviour("the mean cross-entropy of the similarities, with the diagonal as target", 2)
    def value(self, student: Student, draw: Draw) -> None:
        """Use rows of length 1, a symmetric similarity matrix and a logit_scale of 1."""
        for shape in ((5, 7), (4, 4), (6, 3)):
            images, texts = self._symmetric(draw, shape)
            got = self._loss(student, images, texts, self.ONE)
            if not close(got, self._cross_entropy(images, texts)):
                require_repeatable(student, self.name, images, texts, self.ONE)
                otherwise = "in row i of images @ texts.T the target is column i: use cross-entropy"
                raise WrongAnswer(diagnose(got, self._mistakes(images, texts), otherwise))

    @behaviour("the lengths of the embeddings do not matter", 1)
    def lengths(self, student: Student, draw: Draw) -> None:
        """Compare with the student's own value for rows of length 1."""
        seen = []
        for side in (0, 1):
            pair = [unit(draw.signed(5, 6)) for _ in range(2)]
            once = self._loss(student, pair[0], pair[1], self.ONE)
            pair[side] = pair[side] * draw.uniform(5, 1, low=2.0, high=9.0)
            if not close(self._loss(student, pair[0], pair[1], self.ONE), once):
                what = ("image_emb", "text_emb")[side]
                raise WrongAnswer(
                    f"the loss changes with the length of {what}: cosine similarity divides each "
                    "row by its own norm, F.normalize(x, dim=1)"
                )
            pair[side] = pair[side].roll(1, 0)
            seen.append(close(self._loss(student, pair[0], pair[1], self.ONE), once))
        if all(seen):
            raise WrongAnswer("the loss does not change if images and texts no longer match")

    @behaviour("both directions count, with the same weight", 1)
    def symmetric(self, student: Student, draw: Draw) -> None:
        """Use images near one text, so that the loss differs strongly between the directions."""
        for _ in range(2):
            images, texts = (unit(draw.signed(5, 6)) for _ in range(2))
            images[1:] = unit(texts[:1] + 0.3 * images[1:])
            one, other = self._loss(student, images, texts), self._loss(student, texts, images)
            if not close(one, other):
                raise WrongAnswer(
                    "the loss changes if images and texts are swapped: average the cross-entropy "
                    "over rows (image to text) and over columns, similarity.T (text to image)"
                )
            pair = self._symmetric(draw, (5, 6))
            size = self._loss(student, *pair) / self._cross_entropy(*pair, 4.0)
            ways = [self._cross_entropy(*p, 4.0) for p in ((images, texts), (texts, images))]
            if close(one, size * max(ways)) or close(one, size * min(ways)):
                raise WrongAnswer(
                    "average the two directions: do not take the larger or the smaller one"
                )
        alike, apart = unit(draw.signed(1, 6) + 0.3 * draw.signed(5, 6)), torch.eye(5, 6)
        if close(*(self._loss(student, rows, rows, self.ONE) for rows in (alike, apart))):
            raise WrongAnswer(ONLY_PAIRS)

    @behaviour("logit_scale multiplies the similarities directly", 1)
    def scale(self, student: Student, draw: Draw) -> None:
        """Halve the similarity and double the scale (float or tensor): the loss must not change."""
        rows = unit(draw.signed(2, 6))
        rows = torch.cat([rows, -rows])  # the largest and the smallest possible similarity
        self._loss(student, rows, rows.roll(2, 0), torch.tensor(100.0))
        seen = []
        for size in (2.0, 0.4, 12.0):
            images, texts = (unit(draw.signed(5, 6)) for _ in range(2))
            rest, none = torch.full((5, 1), 0.5**0.5), torch.zeros(5, 1)
            half_images = torch.cat([0.5**0.5 * images, rest, none], 1)
            half_texts = torch.cat([0.5**0.5 * texts, none, rest], 1)
            got = self._loss(student, half_images, half_texts, torch.tensor(2 * size))
            if not close(got, self._loss(student, images, texts, size)):
                raise WrongAnswer(self._scale_hint(student, images, texts, size))
            seen.append(close(got, self._loss(student, images, texts, size / 2)))
        if all(seen):
            raise WrongAnswer("logit_scale has no effect: multiply the cosine similarities by it")

    @behaviour("gradients reach both embeddings and logit_scale", 1)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test this because otherwise one of the encoders, or the scale, cannot learn."""
        images = draw.signed(5, 6)
        texts = draw.signed(5, 6) - images  # dissimilar, so that the loss rises with the scale
        arguments = images, texts, torch.tensor(3.0)
        self._loss(student, *arguments)
        names = "image_emb", "text_emb", "logit_scale"
        require_slopes(student, self.name, arguments, dict(enumerate(names)), draw)

    def _symmetric(self, draw: Draw, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return rows of length 1; image i is as similar to text j as image j is to text i."""
        images, axis = unit(draw.signed(*shape)), unit(draw.signed(1, shape[1]))
        return images, unit(images - 2 * (images @ axis.T) * axis)

    def _cross_entropy(self, rows: Tensor, columns: Tensor, scale: float = 1.0) -> Tensor:
        """Return the loss of one direction, in float64."""
        similarity = scale * rows.double() @ columns.double().T
        return -similarity.log_softmax(1).diag().mean()

    def _both(self, images: Tensor, texts: Tensor, scale: float = 4.0) -> Tensor:
        """Return the loss of both directions, in float64."""
        one = self._cross_entropy(images, texts, scale)
        return (one + self._cross_entropy(texts, images, scale)) / 2

    def _loss(
        self, student: Student, images: Tensor, texts: Tensor, scale: Tensor | float | None = None
    ) -> float:
        given = torch.tensor(4.0) if scale is None else scale
        result = student.call(self.name, images, texts, given)
        if isinstance(result, Tensor) and not result.isfinite().all():
            raise WrongAnswer(
                f"the loss contains NaN or infinity at a logit_scale of {float(given):g}: if exp "
                "overflows, or its result underflows to log(0), use F.cross_entropy or logsumexp"
            )
        shape = tuple(getattr(result, "shape", ()))
        if shape:
            raise WrongAnswer(f"expected a scalar, got shape {shape}: average over the batch")
        return as_number(result, "the loss")

    def _scale_hint(self, student: Student, images: Tensor, texts: Tensor, size: float) -> str:
        got = self._loss(student, images, texts, size)
        both = [
            (self._both(images, texts, 1.0), "logit_scale has no effect: multiply by it"),
            (self._both(images, texts, 1 / size), "multiply by logit_scale, do not divide by it"),
            (self._both(images, texts, float(torch.tensor(size).exp())), EXP),
            (self._both(images, texts, size**0.5), "use logit_scale without a square root"),
            (self._both(images, texts, size**2), "logit_scale is applied twice"),
            (
                size * self._both(images, texts, 1.0),
                "logit_scale multiplies the similarities, not the loss",
            ),
        ]
        return diagnose(got, both, "logit_scale must multiply the cosine similarities, once")

    def _mistakes(self, images: Tensor, texts: Tensor) -> list[tuple]:
        """Return the values of typical wrong losses, each with its hint."""
        similarity, n = images.double() @ texts.double().T, len(images)
        right, same = self._cross_entropy(images, texts), torch.eye(n, dtype=torch.float64)
        e = similarity.exp()
        others = (e.sum(1) - e.diag()).log() - similarity.diag()
        a, b = (F.normalize(side.double(), dim=0) for side in (images, texts))
        pick = "the target of row i is i, torch.arange(B)"
        bce = F.binary_cross_entropy_with_logits
        return [
            (n * right, "you summed over the batch: take the mean"),
            (2 * n * right, "you summed over the batch and both directions: take the means"),
            (2 * right, "average the two directions: divide their sum by 2"),
            (right / 2, "you divided by 2 once too often: each direction counts one half"),
            (right / n, "you averaged over all entries: take one value per row, and the mean of B"),
            (-right, "the sign is wrong: the loss is minus the log probability of the match"),
            (self._cross_entropy(a, b), BATCH),
            (self._both(a, b, 1.0), BATCH),
            (self._both(images, texts, torch.e), EXP),
            (bce(similarity, same), "each row is one choice among B (softmax): use cross_entropy"),
            (
                bce(similarity, same, reduction="sum") / n,
                "each row is one choice: use cross_entropy",
            ),
            (F.cross_entropy(similarity, similarity.argmax(1)), f"not the most likely one: {pick}"),
            (F.cross_entropy(similarity, 0 * torch.arange(n)), f"not the first column: {pick}"),
            (
                F.cross_entropy(similarity, torch.ones(n, dtype=torch.long)),
                f"not the second column: {pick}",
            ),
            (
                self._both(images, texts, 1 / n),
                "one norm divides the whole table: each row has its own",
            ),
            (
                self._both(images, texts, -1.0),
                "the similarities are negated: the match is the largest",
            ),
            (right**2, "the two directions are multiplied: take their mean"),
            (others.mean(), "the match is missing from the denominator of the softmax"),
            (-similarity.diag().mean(), ONLY_PAIRS),
            (F.mse_loss(similarity, same), "use cross-entropy, not a squared error"),
            (-similarity.softmax(1).diag().mean(), "the logarithm of the probability is missing"),
            (
                1 - similarity.softmax(1).diag().mean(),
                "the logarithm of the probability is missing",
            ),
            (-similarity.flatten().log_softmax(0).view(n, n).diag().mean(), SOFTMAX),
            (F.cross_entropy(similarity.softmax(1), torch.arange(n)), TWICE),
            *(
                (self._smoothed(similarity, share), SMOOTHED)
                for share in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
            ),
        ]

    def _smoothed(self, similarity: Tensor, share: float) -> Tensor:
        target = torch.arange(len(similarity))
        return F.cross_entropy(similarity, target, label_smoothing=share)


EXP = "do not exponentiate logit_scale: it multiplies the similarities directly"
BATCH = "you normalised over the batch (dim=0): divide every row by its own norm (dim=1)"
ONLY_PAIRS = "only matching pairs count: the loss must also push the other pairs apart"
SOFTMAX = "take the softmax over one row or one column at a time, not over all entries"
SMOOTHED = "CLIP's loss has no label smoothing: only the match is the target"
TWICE = "pass the similarities to cross_entropy directly: it applies the softmax itself"
