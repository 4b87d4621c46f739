"""Tables of the text-to-image results: the digits asked for, guidance, CLIP and LoRAs."""

from typing import Any

from results_diffusion import MEASURES, SHARES, quality
from results_tables import markdown, seconds_in_words, threads

from mnistdiff.experiments.student_report import TEXT_WORST

Results = dict[str, Any]


def tiny_sd_quality(run: Results) -> str:
    """Label accuracy above the measures that every generator gets."""
    low, high = run["accuracy_interval"]
    first = f"| drawn as asked | **{run['accuracy']:.2%}** | {low:.2%} to {high:.2%} |  |"
    head, rule, *rows = quality(run).rstrip("\n").split("\n")
    return "\n".join([head, rule, first, *rows]) + "\n"


def tiny_sd_digits(run: Results) -> str:
    """Success per digit; the report's worst are marked."""
    shares = list(enumerate(run["per_digit"]))
    told = [
        [str(d) + (" (failed most in the report)" if d in TEXT_WORST else "")] for d, _ in shares
    ]
    rows = [[*name, f"{share:.1%}"] for name, (_, share) in zip(told, shares, strict=True)]
    return markdown(["digit", "drawn as asked"], rows, "lr")


def tiny_sd_guidance(run: Results) -> str:
    """Accuracy against diversity: one row per guidance scale."""
    names = ("accuracy", "fd_ratio", "coverage", "recall", "precision", "memorised_share")
    rows = []
    for row in run["guidance"]:
        form = {"fd_ratio": ".2f"} | dict.fromkeys(SHARES | {"accuracy"}, ".2%")
        shown = [format(row[name], form.get(name, ".3f")) for name in names]
        rows.append([f"{row['guidance_scale']:g}", *shown])
    words = ["drawn as asked", *(MEASURES[name][0] for name in names[1:])]
    return markdown(["guidance scale", *words], rows, "r" * 7)


def tiny_sd_run(run: Results) -> str:
    """Name the run behind the numbers."""
    facts = {
        "sampler": f"{run['sampler']}, {run['num_inference_steps']} steps",
        "guidance scale": f"{run['guidance_scale']:g}",
        "phrasings never trained on": f"{run['held_out_phrasings']:.0%}",
        "seconds per digit": f"{run['seconds_per_image']:.4f}",
        "judge": run["judge"],
        "data": run["data"],
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, str(v)] for k, v in facts.items()], "ll")


def loras(run: Results) -> str:
    """Per style the measure and the accuracy at each strength."""
    rows = []
    for style, found in run.items():
        if not isinstance(found, dict):
            continue
        for row in found["strengths"]:
            low, high = row["accuracy_interval"]
            half = 1.96 * row["measure_error"]
            rows.append(
                [
                    style,
                    found["measure"].replace("_", " "),
                    f"{row['strength']:g}",
                    f"{row['measure']:.3f} ± {half:.3f}",
                    f"{row['accuracy']:.1%} ({low:.1%} to {high:.1%})",
                ]
            )
    return markdown(["style", "measure", "strength", "mean", "drawn as asked"], rows, "llrrr")


def ladder(run: Results) -> str:
    """Per rung the means over training seeds, with their intervals."""
    form = {"accuracy": ".1%", "fd_ratio": ".1f", "coverage": ".2f", "recall": ".2f"}
    rows = []
    for number, rung in enumerate(run["rungs"]):
        shown = [
            "{:{form}} ({:{form}} to {:{form}})".format(
                rung[name], *rung[f"{name}_interval"], form=form[name]
            )
            for name in ("accuracy", "fd_ratio")
        ]
        shown += [format(rung[name], form[name]) for name in ("coverage", "recall")]
        rows.append([("+ " if number else "") + rung["name"], *shown])
    head = ["rung", "label accuracy", "FD ratio", "coverage", "recall"]
    return markdown(head, rows, "lrrrr")


def ladder_run(run: Results) -> str:
    """Name the run behind the ladder."""
    facts = {
        "training": f"{run['train_size']:,} digits, {run['epochs']} epochs per network",
        "training seeds per rung": len(run["seeds"]),
        "digits per seed": f"{run['n']:,}",
        "judge": run["judge"],
        "data": run["data"],
        "time": seconds_in_words(run["seconds"]),
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, str(v)] for k, v in facts.items()], "ll")


TABLES = {
    "tiny-sd-quality": tiny_sd_quality,
    "tiny-sd-digits": tiny_sd_digits,
    "tiny-sd-guidance": tiny_sd_guidance,
    "tiny-sd-run": tiny_sd_run,
    "tiny-sd-fast-quality": tiny_sd_quality,
    "tiny-sd-fast-run": tiny_sd_run,
    "lora-styles": loras,
    "ladder": ladder,
    "ladder-run": ladder_run,
}
