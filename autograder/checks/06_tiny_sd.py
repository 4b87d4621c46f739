"""Checks of notebook 06: the conditioned noise predictor, condition dropout, and guidance."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from autograder.checks import conditioned
from autograder.checks.base import (
    Check,
    Draw,
    as_tensor,
    behaviour,
    clipped,
    close,
    diagnose,
    require_gradients,
    require_repeatable,
)
from autograder.checks.student import Student
from autograder.inside.student import WrongAnswer

EpsMLPCond = conditioned.EpsMLPCond


class DropCondition(Check):
    """The null condition in the rows of a batch that are selected for it."""

    name = "drop_condition"
    points = 3
    seals = ("mnistdiff.latent:drop_condition",)

    @behaviour("the dropped rows are null_cond", 1)
    def dropped(self, student: Student, draw: Draw) -> None:
        """Include square batches (B = E) and batches in which all rows are dropped."""
        for cond, null, drop in self._cases(draw):
            got, rows = self._drop(student, cond, null, drop), null.expand_as(cond)
            if not close(got[drop], rows[drop]):
                require_repeatable(student, self.name, cond, null, drop)
                must = "the rows with drop = True must be null_cond"
                mistakes = [
                    (torch.where(drop[:, None], cond, rows), FLIPPED),
                    (cond, f"{must}, but they are still cond"),
                ]
                of_rows = [
                    (cond[drop], f"{must}, but they are still cond"),
                    (0 * cond[drop], f"{must}, not zeros"),
                    ((cond + rows)[drop], f"{must}: replace cond, do not add to it"),
                ]
                otherwise = diagnose(got[drop], of_rows, f"{must}: {PER_ROW}")
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("the kept rows are the rows of cond", 1)
    def kept(self, student: Student, draw: Draw) -> None:
        """Include square batches (B = E) and batches in which no row is dropped."""
        for cond, null, drop in self._cases(draw):
            got, rows = self._drop(student, cond, null, drop), null.expand_as(cond)
            if not close(got[~drop], cond[~drop]):
                require_repeatable(student, self.name, cond, null, drop)
                must = "the rows with drop = False must keep their cond"
                of_rows = [
                    (rows[~drop], f"{must}, but they became null_cond"),
                    (0 * cond[~drop], f"{must}, but they became zeros"),
                    ((cond + rows)[~drop], f"{must}, but null_cond was added to them"),
                ]
                otherwise = diagnose(got[~drop], of_rows, f"{must}: {PER_ROW}")
                flipped = torch.where(drop[:, None], cond, rows)
                raise WrongAnswer(diagnose(got, [(flipped, FLIPPED)], otherwise))

    @behaviour("gradients reach null_cond and cond, the same result on every call", 1)
    def gradient(self, student: Student, draw: Draw) -> None:
        """Test this because training learns null_cond and may learn cond."""
        for case in self._cases(draw):
            self._drop(student, *case)
            require_repeatable(student, self.name, *case)
        # An answer may draw one number for the whole batch: a rare drop shows only in many calls.
        require_repeatable(student, self.name, *case, calls=50)
        found = student.grad(self.name, next(self._cases(draw)), (0, 1))
        require_gradients(found, "cond", "null_cond")

    def _cases(self, draw: Draw) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield cond (B, E), null_cond (E,) and drop (B,): mixed, all and none; B = E and B = 1.

        The batch of 64 exposes an answer that draws its own rows: a small batch may hide it.
        """
        shapes = (
            ((64, 3), None),
            ((5, 4), None),
            ((4, 4), None),
            ((6, 2), 1),
            ((1, 3), 1),
            ((1, 3), 0),
        )
        for shape, share in shapes:
            rows = draw.order(shape[0])
            drop = rows < shape[0] // 2 if share is None else torch.full(shape[:1], bool(share))
            # The mask must differ from its reverse; in one case the last row is dropped.
            if share is None:
                drop[0], drop[-1] = shape != (4, 4), shape == (4, 4)
            yield draw.signed(*shape), draw.signed(shape[1]), drop

    def _drop(self, student: Student, *arguments: Tensor) -> Tensor:
        result = student.call(self.name, *arguments)
        return as_tensor(result, arguments[0].shape, "of cond")


NO_CLIP = "do not clip the prediction: noise is not bounded"
ONLY = "the result is {0} at another guidance_scale than {1}: use the formula at every scale"
FLIPPED = "the mask is inverted: drop = True gives null_cond, drop = False keeps cond"
PER_ROW = "drop[:, None] selects whole rows"


class ApplyGuidance(Check):
    """Classifier-free guidance: two predictions combined into one."""

    name = "apply_guidance"
    points = 4
    seals = ("mnistdiff.guidance:apply_guidance",)
    RULE = "guided = eps_uncond + s (eps_cond - eps_uncond), s = guidance_scale"

    @behaviour("scale 1 gives the conditional prediction, scale 0 the unconditional one", 1)
    def ends(self, student: Student, draw: Draw) -> None:
        """Test latents and images, and that no other scale gives one of the predictions."""
        for uncond, cond in self._cases(draw):
            above = self._guide(student, uncond, cond, 2.5)
            only = [(cond, ONLY.format("eps_cond", 1)), (uncond, ONLY.format("eps_uncond", 0))]
            for scale, right in ((1.0, cond), (0.0, uncond)):
                got = self._guide(student, uncond, cond, scale)
                if not close(got, right):
                    # A formula is named only if it also gives the result at another scale.
                    pairs = zip(
                        self._mistakes(uncond, cond, scale),
                        self._mistakes(uncond, cond, 2.5),
                        strict=True,
                    )
                    formulas = [(here, why) for (here, why), (far, _) in pairs if close(above, far)]
                    what = "eps_cond" if scale else "eps_uncond"
                    otherwise = f"at guidance_scale {scale:g} the result must be {what}"
                    mistakes = [*formulas, *only, (clipped(right, got), NO_CLIP)]
                    raise WrongAnswer(diagnose(got, mistakes, otherwise))
            if why := diagnose(self._guide(student, uncond, cond, 0.4), only, ""):
                raise WrongAnswer(why)

    @behaviour("eps_uncond + s (eps_cond - eps_uncond) at any scale", 2)
    def value(self, student: Student, draw: Draw) -> None:
        """Test scales between 0 and 1 and above 1."""
        for uncond, cond in self._cases(draw):
            for scale in (float(draw.uniform(1, low=0.2, high=0.8)), 2.5, 15.0):
                got, right = self._guide(student, uncond, cond, scale), uncond.double()
                right = right + scale * (cond.double() - uncond)
                if scale < 1 and (close(got, cond) or close(got, uncond)):
                    continue  # `ends` judges a shortcut below 1: one mistake costs its own points
                if not close(got, right):
                    mistakes = self._mistakes(uncond, cond, scale)
                    mistakes.append((clipped(right, got), NO_CLIP))
                    require_repeatable(student, self.name, uncond, cond, scale)
                    others = [self._guide(student, uncond, cond, s * scale) for s in (0.3, 2.0)]
                    if close(*others):
                        mistakes.append((others[0], "guidance_scale has no effect: use it as s"))
                    raise WrongAnswer(diagnose(got, mistakes, self.RULE))

    @behaviour("each row by itself, from both predictions", 1)
    def rows(self, student: Student, draw: Draw) -> None:
        """Change one row: the others must not change."""
        changes = [False, False]  # of the result, with eps_uncond and with eps_cond
        cases = itertools.product(self._cases(draw), (0.5, 2.5), (0, 1))
        for (uncond, cond), scale, place in cases:
            before, pair = self._guide(student, uncond, cond, scale), (uncond.clone(), cond.clone())
            pair[place][-1] *= -3.0
            moved = self._guide(student, *pair, scale)
            if not close(moved[:-1], before[:-1]):
                require_repeatable(student, self.name, uncond, cond, scale)
                raise WrongAnswer(
                    "a row of the result depends on other rows: take no mean or spread of the batch"
                )
            changes[place] |= not close(moved[-1], before[-1])
        for what, changed in zip(("eps_uncond", "eps_cond"), changes, strict=True):
            if not changed:
                raise WrongAnswer(f"the result does not depend on {what} at scales 0.5 and 2.5")

    def _cases(self, draw: Draw) -> list[tuple[Tensor, Tensor]]:
        """Return latents (B, D), images (B, 1, H, W) and a batch of one.

        The first entry is so large that clipping always shows; the second has an eps_uncond of 0.
        """
        cases = []
        for shape in ((4, 5), (2, 1, 4, 3), (1, 6)):
            pair = 2 * draw.signed(*shape), 2 * draw.signed(*shape)
            pair[0].view(-1)[0], pair[1].view(-1)[0] = 20.0, -25.0
            pair[0].view(-1)[1] = 0.0
            cases.append(pair)
        return cases

    def _guide(self, student: Student, uncond: Tensor, cond: Tensor, scale: float) -> Tensor:
        result = student.call(self.name, uncond, cond, scale)
        return as_tensor(result, cond.shape, "of eps_cond")

    def _mistakes(self, uncond: Tensor, cond: Tensor, scale: float) -> list[tuple]:
        """Return the values of typical wrong combinations, each with its hint."""
        u, c, s = uncond.double(), cond.double(), scale
        right, weight = u + s * (c - u), "that formula belongs to the weight w = s - 1"
        return [
            (c + s * (c - u), f"you start from eps_cond: {weight}; here scale 1 means no guidance"),
            (c + s * (u - c), "the two predictions are swapped: start from eps_uncond"),
            (u - s * (c - u), "the sign is wrong: move towards eps_cond, by eps_cond - eps_uncond"),
            (s * c + u, "eps_uncond is not subtracted: s multiplies (eps_cond - eps_uncond)"),
            (s * (c - u), "eps_uncond is missing: add the scaled difference to it"),
            (s * c, "eps_uncond has no effect: it is not enough to scale eps_cond"),
            (c + (s - 1) * c, "eps_uncond has no effect: it is not enough to scale eps_cond"),
            (s * u + (1 - s) * c, "the two predictions are swapped: s belongs to eps_cond"),
            (
                u + (s - 1) * (c - u),
                "the weight is s itself: s - 1 belongs to the formula from eps_cond",
            ),
            (u + s**2 * (c - u), "guidance_scale is squared: s is the weight itself"),
            (u + s * (c - u).abs(), "keep the sign of the difference eps_cond - eps_uncond"),
            (c - s * u, "s multiplies the difference eps_cond - eps_uncond, not eps_uncond"),
            (
                (u + s * c) / (1 + s),
                f"this is a weighted mean, but guidance goes further: {self.RULE}",
            ),
            (c, "this is eps_cond itself: guidance_scale has no effect"),
            (u, "this is eps_uncond itself: guidance_scale has no effect"),
            *((right.clamp(-c, c), NO_CLIP) for c in (1, 2, 3, 5, 10)),
            (u + s * (c - u).mean(0, keepdim=True), "take no mean over the batch"),
            (u.mean(0, keepdim=True) + s * (c - u), "take no mean over the batch"),
        ]
