"""Earlier result files in today's format, shown until `mnistdiff reproduce` has replaced them."""

from collections.abc import Callable
from typing import Any

Results = dict[str, Any]

RUN = ("commit", "data", "hardware", "seconds")


def beta_one(old: Results) -> Results:
    """Return the VAE with beta 1 as the only row of Table 2."""
    settings = {"profile": old["profile"], "vae.epochs": old["epochs"]}
    return {"rows": [{**old, "seeds": [old["seed"]]}], "settings": settings, "runs": [_run(old)]}


def curve(old: Results) -> Results:
    """Return the points of a quality curve as rows."""
    rows = [
        {**point, "seeds": [0], "seconds_per_image": point["seconds"] / point["n"]}
        for point in old["points"]
    ]
    seconds = sum(point["seconds"] for point in old["points"])
    return {"rows": rows, "settings": {"samples": old["n"]}, "runs": [_run(old, seconds=seconds)]}


def ladder(old: Results) -> Results:
    """Return the rungs of the ladder as rows."""
    rows = [{"rung": rung["name"], "seeds": old["seeds"], **rung} for rung in old["rungs"]]
    names = ("profile", "train_size", "epochs", "n")
    return {"rows": rows, "settings": {name: old[name] for name in names}, "runs": [_run(old)]}


def _run(old: Results, **more: Any) -> Results:
    facts = {name: old[name] for name in RUN if name in old}
    return {**facts, **more, "measures": {"judge": old["judge"]}, "pictures": []}


OLD: dict[str, tuple[str, Callable[[Results], Results]]] = {  # experiment: earlier file, reader
    "table2": ("vae_report_beta1", beta_one),
    "curve_pixel": ("pixel_curve", curve),
    "curve_latent": ("latent_curve", curve),
    "recipe_ladder": ("ladder", ladder),
}
