"""CONDITIONING as in ComfyUI: embeddings, each with the part of the trajectory that it acts in."""

import math
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.samplers.loop import Model, guided_predictor

NO_WEIGHTS = (
    "parentheses and weights, such as (seven:1.2), have no effect. tiny-mnist-sd turns a whole "
    "prompt into one vector; change cfg for a stronger or weaker effect."
)
LAST = 999  # the timestep at the start of ComfyUI's trajectory; it ends at 0


@dataclass(frozen=True)
class Part:
    """An embedding (1, E) that acts from the share `start` of the trajectory to the share `end`."""

    embedding: Float[Tensor, "1 e"]
    start: float = 0.0
    end: float = 1.0

    def acts_at(self, t: int) -> bool:
        """Return whether it acts at a timestep."""
        return _timestep(self.end) <= t <= _timestep(self.start)


def _timestep(share: float) -> float:
    """Return the timestep at a share of the trajectory, as ComfyUI's `percent_to_sigma`."""
    if share <= 0:
        return math.inf
    return LAST * (1 - share) if share < 1 else -math.inf


Conditioning = tuple[Part, ...]


def set_range(conditioning: Conditioning, start: float, end: float) -> Conditioning:
    """Return the parts with another start and end."""
    return tuple(replace(part, start=start, end=end) for part in conditioning)


def embedding_at(conditioning: Conditioning, t: int, field: str) -> Float[Tensor, "1 e"]:
    """Return the embedding that acts at a timestep.

    Raises MnistdiffError, naming the input `field`, unless there is exactly one.
    """
    found = [part.embedding for part in conditioning if part.acts_at(t)]
    if len(found) != 1:
        raise MnistdiffError(
            f"input {field}: {len(found)} conditionings act at timestep {t}; without ComfyUI it "
            "must be one. Give ConditioningSetTimestepRange ranges that meet and do not overlap."
        )
    return found[0]


def guided_by(
    model: Model, positive: Conditioning, negative: Conditioning, guidance_scale: float
) -> Model:
    """Return the guided model; where both inputs have one embedding, it is the conditional one."""

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        cond = uncond = embedding_at(positive, int(t[0]), "positive")
        if guidance_scale != 1:
            uncond = embedding_at(negative, int(t[0]), "negative")
        scale = 1.0 if uncond is cond else guidance_scale
        cond, uncond = cond.expand(len(x_t), -1), uncond.expand(len(x_t), -1)
        return guided_predictor(model, cond, uncond, scale)(x_t, t)

    return predict
