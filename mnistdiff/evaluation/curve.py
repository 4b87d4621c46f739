"""Quality against steps: every sampler with several step counts, from the same noise."""

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import nn

from mnistdiff.diffusion import (
    generate,
    load_latent_model,
    load_pixel_model,
)
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation.measure import measure_with_share
from mnistdiff.evaluation.protocol import check_n
from mnistdiff.metrics import load_judge
from mnistdiff.results import save_result
from mnistdiff.storage import check_writable

# sampler, eta and steps of each point
CURVE = (  # the quick points first, so that an interrupted curve shows most samplers
    *(("ddim", 0.0, steps) for steps in (5, 10, 20, 50)),
    *(("dpmpp_2m", None, steps) for steps in (5, 10, 20, 50)),
    *(("heun", None, steps) for steps in (5, 10, 20)),
    *(("ddim", 0.0, steps) for steps in (100, 200)),
    *(("ddim", 0.5, steps) for steps in (10, 50, 200)),
    *(("ddim", 1.0, steps) for steps in (10, 50, 200)),
    ("ddpm", None, 1000),
)


def evaluations(sampler: str, num_inference_steps: int) -> int:
    """Return how often a sampler calls the network."""
    return 2 * num_inference_steps - 1 if sampler == "heun" else num_inference_steps


def quality_curve(space: str, n: int, seed: int, path: Path) -> dict[str, Any]:
    """Measure every point of `CURVE` on n images of a shipped model, in "pixel" or "latent" space.

    Each point is saved at once, and points that are already in the file are skipped, so that an
    interrupted run continues. Raises MnistdiffError if the file holds another curve.
    """
    check_n(n)
    check_writable(path)
    model = load_pixel_model() if space == "pixel" else load_latent_model()
    identity = {
        "space": space,
        "n": n,
        "seed": seed,
        "judge": load_judge().version,
        "weights": fingerprint(model.model),
    }
    result = _read_curve(path, identity)
    for sampler, eta, steps in CURVE:
        point = {"sampler": sampler, "eta": eta, "num_inference_steps": steps}
        if any(point.items() <= row.items() for row in result["points"]):
            continue
        samples = generate(model, n, sampler, steps, eta, seed)
        row = measure_with_share(samples.images)
        row |= point | {"evaluations": evaluations(sampler, steps), "seconds": samples.seconds}
        result["points"].append(row)
        save_result(path, result)
    return result


def _read_curve(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return identity | {"points": []}
    try:
        found = json.loads(path.read_text())
        same = all(found[name] == value for name, value in identity.items())
        rows = found["points"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MnistdiffError(
            f"{path} is not a quality curve ({type(error).__name__}: {error}); choose another file."
        ) from error
    if not same:
        held = ", ".join(f"{name} {found[name]}" for name in identity)
        raise MnistdiffError(f"{path} holds another curve ({held}); choose another file.")
    return identity | {"points": rows}


def fingerprint(network: nn.Module) -> str:
    """Return twelve hexadecimal digits that identify the weights."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
