"""Checks of notebook 05: the contrastive loss of CLIP, and zero-shot accuracy."""

import functools

import torch
from torch import Tensor

from autograder.checks import contrastive
from autograder.checks.base import (
    Check,
    Draw,
    as_number,
    behaviour,
    close,
    diagnose,
    require_finite,
)
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer

ContrastiveLoss = contrastive.ContrastiveLoss


class ZeroShotAccuracy(Check):
    """The share of images that are closest to the text of their own label."""

    name = "zero_shot_accuracy"
    points = 4
    seals = ("mnistdiff.clip:zero_shot_accuracy",)

    @behaviour("the share of images whose most similar text is the text of their label", 2)
    def value(self, student: Student, draw: Draw) -> None:
        """Use texts of length 1, fewer than the images or as many."""
        for n, k, rival, hub in ((30, 4, 0.3, False), (40, 13, 0.0, True), (16, 16, 0.0, False)):
            images, texts, labels, wrong = self._case(draw, n, k, rival=rival, hub=hub)
            got = self._accuracy(student, images, texts, labels)
            if not close(got, 1 - wrong / n):
                mistakes = self._mistakes(images, texts, labels)
                if got and close(self._accuracy(student, images, texts, (labels + 1) % k), got):
                    mistakes = [(got, "the labels have no effect: compare with labels")]
                raise WrongAnswer(diagnose(got, mistakes, RULE))

    @behaviour("the length of a text does not matter", 1)
    def lengths(self, student: Student, draw: Draw) -> None:
        """Compare with the student's own value for texts of length 1."""
        for n, k in ((40, 5), (30, 7), (40, 13)):
            images, texts, labels, _ = self._case(draw, n, k, rival=0.6)
            lengths = 4.0 ** (draw.order(k) - k // 2)[:, None].clamp(-2, 2)
            once = self._accuracy(student, images, texts, labels)
            shifted, *more = (
                self._accuracy(student, images, texts, (labels + by) % k) for by in (1, 2, 3)
            )
            if once and all(close(other, once) for other in (shifted, *more)):
                raise WrongAnswer("the labels have no effect on the result: compare with labels")
            if abs(once - shifted) < 0.5:  # right: 0.8 of the images; by chance 1 / k of them
                raise WrongAnswer(FEW_HITS if once else NO_HIT)
            # Two texts lie along an axis, the others do not: their 1-norms differ after the turn.
            turn = torch.linalg.qr(torch.cat([texts.T, draw.signed(16, 16)], 1))[0]
            turn = turn @ torch.block_diag(torch.eye(2), torch.linalg.qr(draw.signed(14, 14))[0])
            given = images @ turn, (texts * lengths) @ turn, labels
            if not close(self._accuracy(student, *given), once):
                raise WrongAnswer(
                    "the lengths of the texts change which one wins: cosine similarity divides "
                    "each row by its own norm, F.normalize(text_emb, dim=1), not dim=0, not p=1"
                )

    @behaviour("one float: 1 if all are right, 0 if all are wrong", 1)
    def ends(self, student: Student, draw: Draw) -> None:
        """Test both extremes with several numbers of texts."""
        for n, k in ((12, 3), (20, 10), (1, 4)):
            images, texts, labels, _ = self._case(draw, n, k, wrong=0, unlike=0.5)
            best = self._accuracy(student, images, texts, labels)
            worst = self._accuracy(student, images, texts, (labels + 1) % k)
            if not close(best, 1.0) or not close(worst, 0.0):
                raise WrongAnswer(
                    f"expected 1 if all are right, 0 if all are wrong, got {best:g} and {worst:g}"
                )

    def _case(
        self,
        draw: Draw,
        n: int,
        k: int,
        wrong: int | None = None,
        rival: float = 0.0,
        unlike: float = 1.2,
        hub: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Return images (n, D), texts (k, D) of length 1, labels (n,) and the number of errors.

        A hub is a text close to all images: a softmax over the images takes it from its own.
        """
        wrong = n // 5 if wrong is None else wrong
        # Orthogonal, and of equal length in every norm: all entries are +-1/4 (Hadamard).
        signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        axes = functools.reduce(torch.kron, 4 * [signs])[draw.order(16)] / 4
        axes = axes * draw.signed(16, low=1.0, high=1.0)
        texts = axes[:k]
        labels = (torch.arange(n) % (k - hub))[draw.order(n)]
        labels[0] = 0
        # Nearest to the own text, less near to the next but one, and opposed to the next.
        images = texts[labels] + rival * texts[(labels + 2) % k] + 0.03 * draw.signed(n, 16)
        images = images - unlike * texts[(labels + 1) % k]
        if hub:  # text 0; its own images are also near the last text, which has no images
            images = images + 0.45 * texts[torch.where(labels == 0, k - 1, 0)]
            images = images + draw.signed(n, 1, low=1.4, high=1.4) * axes[-1]
            images[0] += 2 * axes[-2]
        images = draw.uniform(n, 1, low=0.5, high=2.0) * images
        labels[n - wrong :] = (labels[n - wrong :] + 2) % k
        return images, texts, labels, wrong

    def _mistakes(self, images: Tensor, texts: Tensor, labels: Tensor) -> list[tuple]:
        """Return the values of typical wrong accuracies, each with its hint."""
        similarity, n = images.double() @ texts.double().T, len(images)
        right = self._share(similarity, labels)
        return [
            (100 * right, "this is a percentage: the accuracy is between 0 and 1"),
            (n * right, "this is the number of hits: divide by the number of images"),
            (n * right / len(texts), "divide by the number of images, not the number of texts"),
            (1 - right, "this is the share of errors: count the hits"),
            (0.0, NO_HIT),
        ]

    def _share(self, similarity: Tensor, labels: Tensor) -> float:
        return float(similarity.argmax(1).eq(labels).double().mean())

    def _accuracy(self, student: Student, images: Tensor, texts: Tensor, labels: Tensor) -> float:
        result = student.call(self.name, images, texts, labels)
        require_finite(result, "the accuracy")
        shape = tuple(getattr(result, "shape", ()))
        if shape:
            raise WrongAnswer(
                f"expected one float, got shape {shape}: take the mean over the images"
            )
        return as_number(result, "the accuracy")


FEW_HITS = (
    "no more images count as right than by chance: compare the argmax over dim=1, one text for "
    "each image, with the labels of all images"
)
NO_HIT = (
    "no image counts as right: compare the argmax (not argmin) over dim=1 with the unchanged "
    "labels, and divide with / (not //)"
)
RULE = "each image picks a text by argmax over dim=1: return the share that picks its own label"
