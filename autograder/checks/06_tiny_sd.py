"""Checks of notebook 06: the conditioned noise predictor, condition dropout, and guidance."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from autograder.checks import conditioned
from autograder.checks.base import (
    Check,
    Draw,
    as_tensor,
    behaviour,
    close,
    diagnose,
    require_gradients,
    require_repeatable,
    require_untouched,
)
from autograder.inside.student import WrongAnswer

EpsMLPCond = conditioned.EpsMLPCond


class DropCondition(Check):
    """The null condition in those rows of a batch that are drawn for it."""

    name = "drop_condition"
    points = 3
    seals = ("mnistdiff.latent:drop_condition",)

    @behaviour("the dropped rows are null_cond", 1)
    def dropped(self, student: Any, draw: Draw) -> None:
        """Also where a row has as many entries as there are rows, and where all are dropped."""
        for cond, null, drop in self._cases(draw):
            got, rows = self._drop(student, cond, null, drop), null.expand_as(cond)
            if not close(got[drop], rows[drop]):
                must = "the rows with drop = True must be null_cond"
                mistakes = [
                    (torch.where(drop[:, None], cond, rows), FLIPPED),
                    (cond, f"{must}, and they are still cond"),
                ]
                of_rows = [
                    (cond[drop], f"{must}, and they are still cond"),
                    (0 * cond[drop], f"{must}, not zeros"),
                    ((cond + rows)[drop], f"{must}: it takes the place of cond, added to nothing"),
                ]
                otherwise = diagnose(got[drop], of_rows, f"{must}: drop[:, None] says so per row")
                raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("the kept rows are those of cond", 1)
    def kept(self, student: Any, draw: Draw) -> None:
        """Also where a row has as many entries as there are rows, and where none is dropped."""
        for cond, null, drop in self._cases(draw):
            got, rows = self._drop(student, cond, null, drop), null.expand_as(cond)
            if not close(got[~drop], cond[~drop]):
                must = "the rows with drop = False keep their cond"
                of_rows = [
                    (rows[~drop], f"{must}, and these became null_cond"),
                    (0 * cond[~drop], f"{must}, and these became zeros"),
                    ((cond + rows)[~drop], f"{must}, and null_cond was added to these"),
                ]
                otherwise = diagnose(got[~drop], of_rows, f"{must}: drop[:, None] says so per row")
                flipped = torch.where(drop[:, None], cond, rows)
                raise WrongAnswer(diagnose(got, [(flipped, FLIPPED)], otherwise))

    @behaviour("gradients reach null_cond and cond, and cond itself is not changed", 1)
    def gradient(self, student: Any, draw: Draw) -> None:
        """Training learns null_cond through the dropped rows; cond is used again elsewhere."""
        for case in self._cases(draw):
            self._drop(student, *case)
            require_repeatable(student, self.name, *case)
            require_untouched(student, self.name, case, ("cond", "null_cond", "drop"))
        # One coin for the whole batch, which hides one in ten, is lucky in a few calls.
        require_repeatable(student, self.name, *case, calls=50)
        found = student.grad(self.name, next(self._cases(draw)), (0, 1))
        require_gradients(found, "cond", "null_cond")

    def _cases(self, draw: Draw) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """cond (B, E), null_cond (E,), drop (B,) with both, all and none; B = E and B = 1 too.

        The batch of 64 is for an answer that throws its own dice: in small ones it can be lucky.
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
            if share is None:  # no mask that reads the same from its end, and one of the last rows
                drop[0], drop[-1] = shape != (4, 4), shape == (4, 4)
            yield draw.signed(*shape), draw.signed(shape[1]), drop

    def _drop(self, student: Any, *arguments: Tensor) -> Tensor:
        result = student.call(self.name, *arguments)
        return as_tensor(result, arguments[0].shape, "of cond")


FLIPPED = "the mask is the wrong way round: drop = True is null_cond, and drop = False keeps cond"


class ApplyGuidance(Check):
    """Two predictions combined into one that follows the condition more closely."""

    name = "apply_guidance"
    points = 4
    seals = ("mnistdiff.guidance:apply_guidance",)
    RULE = "guided = eps_uncond + s (eps_cond - eps_uncond), s = guidance_scale"

    @behaviour("scale 1 gives the conditional prediction, 0 the unconditional one", 1)
    def ends(self, student: Any, draw: Draw) -> None:
        """For latents and for images."""
        for uncond, cond in self._cases(draw):
            for scale, right in ((1.0, cond), (0.0, uncond)):
                got = self._guide(student, uncond, cond, scale)
                if not close(got, right):
                    what = "eps_cond" if scale else "eps_uncond"
                    mistakes = self._mistakes(uncond, cond, scale)
                    otherwise = f"at guidance_scale {scale:g} the result must be {what}"
                    raise WrongAnswer(diagnose(got, mistakes, otherwise))

    @behaviour("eps_uncond + s (eps_cond - eps_uncond) at any scale", 2)
    def value(self, student: Any, draw: Draw) -> None:
        """Scales between 0 and 1, and above."""
        for uncond, cond in self._cases(draw):
            for scale in (float(draw.uniform(1, low=0.2, high=0.8)), 2.5, 15.0):
                got = self._guide(student, uncond, cond, scale)
                if not close(got, uncond.double() + scale * (cond.double() - uncond)):
                    mistakes = self._mistakes(uncond, cond, scale)
                    raise WrongAnswer(diagnose(got, mistakes, self.RULE))

    @behaviour("row by row, and both predictions stay as they are", 1)
    def rows(self, student: Any, draw: Draw) -> None:
        """One row changes, the others do not; a sampler may use the predictions again."""
        for uncond, cond in self._cases(draw):
            before = self._guide(student, uncond, cond, 0.5)
            for place in (0, 1):
                pair = [uncond.clone(), cond.clone()]
                pair[place][-1] *= -3.0
                moved = self._guide(student, *pair, 0.5)
                if not close(moved[:-1], before[:-1]):
                    raise WrongAnswer(
                        "a row of the result depends on other rows: no mean over the batch"
                    )
                if close(moved[-1], before[-1]):
                    what = ("eps_uncond", "eps_cond")[place]
                    raise WrongAnswer(f"the result does not depend on {what} at guidance_scale 0.5")
            names = "eps_uncond", "eps_cond", "guidance_scale"
            require_untouched(student, self.name, (uncond, cond, 0.5), names)

    def _cases(self, draw: Draw) -> list[tuple[Tensor, Tensor]]:
        """Latents (B, D), images (B, 1, H, W) and a batch of one; some entries leave [-1, 1]."""
        shapes = ((4, 5), (2, 1, 4, 3), (1, 6))
        return [(2 * draw.signed(*shape), 2 * draw.signed(*shape)) for shape in shapes]

    def _guide(self, student: Any, uncond: Tensor, cond: Tensor, scale: float) -> Tensor:
        result = student.call(self.name, uncond, cond, scale)
        return as_tensor(result, cond.shape, "of eps_cond")

    def _mistakes(self, uncond: Tensor, cond: Tensor, scale: float) -> list[tuple]:
        """What a wrong combination comes out as, and why."""
        u, c, s = uncond.double(), cond.double(), scale
        right, weight = u + s * (c - u), "that is the convention with a weight w = s - 1"
        return [
            (c + s * (c - u), f"you start from eps_cond: {weight}; here scale 1 is no guidance"),
            (c + s * (u - c), "the two predictions are swapped: start from eps_uncond"),
            (u - s * (c - u), "the sign is wrong: push towards eps_cond, by eps_cond - eps_uncond"),
            (s * c + u, "eps_uncond is not taken away: s multiplies (eps_cond - eps_uncond)"),
            (s * (c - u), "eps_uncond is missing: the difference is added to it"),
            (s * c, "eps_uncond has no influence: scaling eps_cond alone is no guidance"),
            (c + (s - 1) * c, "eps_uncond has no influence: scaling eps_cond is no guidance"),
            (s * u + (1 - s) * c, "the two predictions are swapped: s belongs to eps_cond"),
            (c, "this is eps_cond itself: guidance_scale has no influence"),
            (u, "this is eps_uncond itself: guidance_scale has no influence"),
            (right.clamp(-1, 1), "do not clip the prediction: noise is not bounded"),
            (right.clamp(-3, 3), "do not clip the prediction: noise is not bounded"),
            (u + s * (c - u).mean(0, keepdim=True), "no mean over the batch: each row its own"),
            (u.mean(0, keepdim=True) + s * (c - u), "no mean over the batch: each row its own"),
        ]
