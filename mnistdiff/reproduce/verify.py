"""`mnistdiff verify`: do the shipped weights still have the recorded bytes and quality?"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from mnistdiff.data import find_full_mnist
from mnistdiff.diffusion import BEST_VAE, autoguided, load_latent_model, load_pixel_model
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation import evaluate
from mnistdiff.evaluation.text_to_image import evaluate_loras, evaluate_tiny_sd
from mnistdiff.experiments.judge import evaluate_judge
from mnistdiff.experiments.styles import STYLES
from mnistdiff.metrics import wilson_interval
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.reproduce.files import RESULTS, read_result
from mnistdiff.results import save_result
from mnistdiff.storage import PACKAGED

RECORD = "weights"  # the stem of the file of hashes, in book/results/
Z = 3.29  # of the widening: one share in a thousand lies outside by chance


class Finding(NamedTuple):
    """One check: what was looked at, whether it is as recorded, and a sentence."""

    name: str
    ok: bool
    message: str


def hash_weights(folder: Path = PACKAGED) -> dict[str, str]:
    """Return the SHA-256 of each weights file in a folder and below, by its path there."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
    }


def record_weights(out: Path | None = None) -> dict[str, Any]:
    """Write the hashes of the shipped weights to book/results/weights.json; do it at a release."""
    result = {"sha256": hash_weights()}
    save_result((out or RESULTS) / f"{RECORD}.json", result)
    return result


def verify(n: int = 1_000, out: Path | None = None, weights: Path = PACKAGED) -> dict[str, Any]:
    """Compare the weights with their recorded hashes, then each model with its recorded shares.

    A share of n new digits must lie in the recorded 95 % interval, whose ends move outwards by the
    99.9 % Wilson interval of a share of n digits. Models are not evaluated if a hash differs.
    Raises MnistdiffError if n is not a multiple of 10, or if the results are not installed.
    """
    if n < 10 or n % 10:
        raise MnistdiffError(f"n is {n}; it must be a multiple of 10, equally many per digit.")
    out = out or RESULTS
    if not out.is_dir():
        raise MnistdiffError(
            f"the results are not installed ({out} does not exist): run `mnistdiff verify` in a "
            "checkout of the repository."
        )
    findings = list(compare_hashes(out, weights))
    if all(finding.ok for finding in findings):
        findings += evaluate_again(n, out)
    return {"findings": [f._asdict() for f in findings], "ok": all(f.ok for f in findings)}


def compare_hashes(out: Path, weights: Path = PACKAGED) -> Iterator[Finding]:
    """Yield a finding for each recorded or present weights file."""
    recorded = (read_result(out, RECORD) or {}).get("sha256", {})
    found = hash_weights(weights)
    for name in sorted(recorded | found):
        if name not in found:
            yield Finding(name, False, "it is recorded, but missing")
        elif name not in recorded:
            yield Finding(
                name, False, f"{RECORD}.json does not record it; run `mnistdiff verify --record`"
            )
        else:
            same = recorded[name] == found[name]
            message = "the recorded bytes" if same else "its bytes differ from the recorded ones"
            yield Finding(name, same, message)


def evaluate_again(n: int, out: Path) -> Iterator[Finding]:
    """Yield a finding for each recorded share of the shipped models, measured on n new digits."""
    for name, measure in MODELS.items():
        recorded = read_result(out, name)
        if recorded is None:
            yield Finding(name, False, f"{name}.json is missing")
            continue
        again = measure(n, recorded)
        for share in ("accuracy", "confident_share"):
            if share in recorded and share in again:
                interval = recorded[share.removesuffix("_share") + "_interval"]
                yield _compare(f"{name}: {share}", again[share], interval, n)
    yield from _compare_styles(n, out)
    if find_full_mnist() is None:
        yield Finding("judge", True, "not evaluated: full MNIST is not on this machine")
    else:
        judge, recorded = evaluate_judge(), read_result(out, "judge") or {}
        for name in ("accuracy", "second_accuracy", "fd_floor"):
            same = abs(judge[name] - recorded[name]) < 1e-3
            message = f"{judge[name]:.4f}, recorded {recorded[name]:.4f}"
            yield Finding(f"judge: {name}", same, message)


def _compare(name: str, share: float, interval: tuple[float, float], n: int) -> Finding:
    low, high = widen(interval, n)
    message = f"{share:.4f} on {n:,} digits; allowed {low:.4f} to {high:.4f}"
    return Finding(name, low <= share <= high, message)


def widen(interval: tuple[float, float], n: int) -> tuple[float, float]:
    """Return a recorded interval of a share, widened for a new sample of n."""
    low, high = (min(max(round(end * n), 0), n) for end in interval)
    return wilson_interval(low, n, Z)[0], wilson_interval(high, n, Z)[1]


def _compare_styles(n: int, out: Path) -> Iterator[Finding]:
    recorded = read_result(out, "loras")
    if recorded is None:
        yield Finding("loras", False, "loras.json is missing")
        return
    again = evaluate_loras(n=n, strengths=(1.0,))
    for style in STYLES:
        old = next(row for row in recorded[style]["strengths"] if row["strength"] == 1)
        new = again[style]["strengths"][0]
        yield _compare(f"LoRA {style}: accuracy", new["accuracy"], old["accuracy_interval"], n)
        allowed = Z * (old["measure_error"] ** 2 + new["measure_error"] ** 2) ** 0.5
        same = abs(new["measure"] - old["measure"]) <= allowed
        message = f"{new['measure']:.4f}; allowed {old['measure']:.4f} ± {allowed:.4f}"
        yield Finding(f"LoRA {style}: {recorded[style]['measure']}", same, message)


def _pixel(n: int, recorded: dict[str, Any]) -> dict[str, Any]:
    model = autoguided(load_pixel_model(), recorded["autoguidance"])
    return evaluate(model, n=n, seeds=(0,), num_inference_steps=recorded["num_inference_steps"])


def _latent(n: int, recorded: dict[str, Any]) -> dict[str, Any]:
    model = load_latent_model(recorded["beta"], recorded["latent_dim"])
    if (recorded["beta"], recorded["latent_dim"]) == BEST_VAE:
        model = autoguided(model, recorded["autoguidance"])
    return evaluate(model, n=n, seeds=(0,), num_inference_steps=recorded["num_inference_steps"])


def _tiny_sd(n: int, recorded: dict[str, Any]) -> dict[str, Any]:
    return evaluate_tiny_sd(
        TextToImagePipeline.from_pretrained(),
        n=n,
        seeds=(0,),
        num_inference_steps=recorded["num_inference_steps"],
        guidance_scale=recorded["guidance_scale"],
        guidance_span=recorded["guidance_span"],
        frontier=False,
    )


# result file: how its model is measured again
MODELS: dict[str, Callable[[int, dict[str, Any]], dict[str, Any]]] = {
    "pixel": _pixel,
    "latent_best": _latent,
    "latent_beta1_dim50": _latent,
    "tiny_sd": _tiny_sd,
}


def render_verify(result: dict[str, Any]) -> str:
    """Return a line per finding, and the verdict."""
    lines = [
        f"{'ok  ' if found['ok'] else 'FAIL'} {found['name']}: {found['message']}"
        for found in result["findings"]
    ]
    wrong = [found["name"] for found in result["findings"] if not found["ok"]]
    verdict = f"Not as recorded: {', '.join(wrong)}." if wrong else "Everything is as recorded."
    return "\n".join([*lines, "", verdict])
