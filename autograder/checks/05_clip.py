"""Checks of notebook 05: the contrastive loss of CLIP, and zero-shot accuracy."""

import functools
from typing import Any

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
)
from autograder.inside.student import WrongAnswer

ContrastiveLoss = contrastive.ContrastiveLoss


class ZeroShotAccuracy(Check):
    """The share of images that are closest to the text of their own label."""

    name = "zero_shot_accuracy"
    points = 4
    seals = ("mnistdiff.clip:zero_shot_accuracy",)

    @behaviour("the share of images whose most similar text is that of their label", 2)
    def value(self, student: Any, draw: Draw) -> None:
        """With texts of length 1, fewer than images or as many."""
        for n, k, how in ((30, 4, {"rival": 0.3}), (40, 13, {"hub": True}), (16, 16, {})):
            images, texts, labels, wrong = self._case(draw, n, k, **how)
            got = self._accuracy(student, images, texts, labels)
            if not close(got, 1 - wrong / n):
                raise WrongAnswer(diagnose(got, self._mistakes(images, texts, labels), RULE))

    @behaviour("the length of a text does not matter", 1)
    def lengths(self, student: Any, draw: Draw) -> None:
        """Against what the student's own code gives for texts of length 1."""
        for n, k in ((40, 5), (30, 7)):
            images, texts, labels, _ = self._case(draw, n, k, rival=0.6)
            lengths = 4.0 ** (draw.order(k) - k // 2)[:, None].clamp(-2, 2)
            once = self._accuracy(student, images, texts, labels)
            if close(self._accuracy(student, images, texts, (labels + 1) % k), once):
                unused = "the labels have no influence on the result: compare with labels"
                raise WrongAnswer(unused if once else NO_HIT)
            # Two texts along an axis, the others not: as long, but by a sum of absolute values.
            turn = torch.linalg.qr(torch.cat([texts.T, draw.signed(16, 16)], 1))[0]
            turn = turn @ torch.block_diag(torch.eye(2), torch.linalg.qr(draw.signed(14, 14))[0])
            given = images @ turn, (texts * lengths) @ turn, labels
            if not close(self._accuracy(student, *given), once):
                raise WrongAnswer(
                    "the lengths of the texts decide which one wins: cosine similarity divides "
                    "each row by its own norm, F.normalize(text_emb, dim=1), not dim=0, not p=1"
                )

    @behaviour("one float: 1 all right, 0 all wrong", 1)
    def ends(self, student: Any, draw: Draw) -> None:
        """At both ends, for a few numbers of texts."""
        for n, k in ((12, 3), (20, 10), (1, 4)):
            images, texts, labels, _ = self._case(draw, n, k, wrong=0, unlike=0.5)
            best = self._accuracy(student, images, texts, labels)
            worst = self._accuracy(student, images, texts, (labels + 1) % k)
            if not close(best, 1.0) or not close(worst, 0.0):
                raise WrongAnswer(f"all right is 1 and all wrong is 0, got {best:g} and {worst:g}")

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
        """Images (n, D), texts (k, D) of length 1, labels (n,), and how many of them are wrong.

        A hub is a text that all images are near to: a softmax over images takes it from its own.
        """
        wrong = n // 5 if wrong is None else wrong
        # At right angles to each other, and of one length by every norm: +-1/4 (Hadamard).
        signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        axes = functools.reduce(torch.kron, 4 * [signs])[draw.order(16)] / 4
        axes = axes * draw.signed(16, low=1.0, high=1.0)
        texts = axes[:k]
        labels = (torch.arange(n) % (k - hub))[draw.order(n)]
        labels[0] = 0
        # Nearest to the own text, near to the next but one, most unlike the next.
        images = texts[labels] + rival * texts[(labels + 2) % k] + 0.03 * draw.signed(n, 16)
        images = images - unlike * texts[(labels + 1) % k]
        if hub:  # it is text 0; its own images are near to the last, which has none
            images = images + 0.45 * texts[torch.where(labels == 0, k - 1, 0)]
            images = images + draw.signed(n, 1, low=1.4, high=1.4) * axes[-1]
            images[0] += 2 * axes[-2]
        images = draw.uniform(n, 1, low=0.5, high=2.0) * images
        labels[n - wrong :] = (labels[n - wrong :] + 2) % k
        return images, texts, labels, wrong

    def _mistakes(self, images: Tensor, texts: Tensor, labels: Tensor) -> list[tuple]:
        """What a wrong accuracy comes out as, and why."""
        similarity, n = images.double() @ texts.double().T, len(images)
        right = self._share(similarity, labels)
        return [
            (100 * right, "this is in per cent: a share is between 0 and 1"),
            (n * right, "this is the number of hits: divide by the number of images"),
            (n * right / len(texts), "divide by the number of images, not the number of texts"),
            (1 - right, "this is the share of errors"),
            (similarity.argmax(1).eq(torch.arange(n)).double().mean(), "compare with labels"),
            (0.0, NO_HIT),
        ]

    def _share(self, similarity: Tensor, labels: Tensor) -> float:
        return float(similarity.argmax(1).eq(labels).double().mean())

    def _accuracy(self, student: Any, images: Tensor, texts: Tensor, labels: Tensor) -> float:
        result = student.call(self.name, images, texts, labels)
        shape = tuple(getattr(result, "shape", ()))
        if shape:
            raise WrongAnswer(f"expected one float, got shape {shape}: average over the images")
        return as_number(result, "the accuracy")


NO_HIT = (
    "no image counts as right: compare the argmax (not argmin) over dim=1 with labels as they are; "
    "and a share is no whole number, so divide by / and not by //"
)
RULE = "each image picks a text by argmax over dim=1; the share that picks its label is asked"
