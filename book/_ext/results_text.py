"""Tables of the text-to-image results: accuracy, guidance and LoRAs."""

from typing import Any

from results_diffusion import MEASURES, SHARES, quality
from results_tables import markdown, threads

from mnistdiff.experiments.student_report import TEXT_WORST

Results = dict[str, Any]


def tiny_sd_quality(run: Results) -> str:
    """Show label accuracy above the measures of all generators."""
    low, high = run["accuracy_interval"]
    first = f"| drawn as asked | **{run['accuracy']:.2%}** | {low:.2%} to {high:.2%} |  |"
    head, rule, *rows = quality(run).rstrip("\n").split("\n")
    return "\n".join([head, rule, first, *rows]) + "\n"


def tiny_sd_digits(run: Results) -> str:
    """Show label accuracy per digit; the report's worst digits are marked."""
    rows = [
        [
            str(digit) + (" (one of the report's worst)" if digit in TEXT_WORST else ""),
            f"{share:.1%}",
        ]
        for digit, share in enumerate(run["per_digit"])
    ]
    return markdown(["digit", "drawn as asked"], rows, "lr")


def tiny_sd_guidance(run: Results) -> str:
    """Show accuracy, quality and diversity, one row per guidance scale."""
    names = ("accuracy", "fd_ratio", "coverage", "recall", "precision", "memorised_share")
    rows = []
    for row in run["guidance"]:
        form = {"fd_ratio": ".2f"} | dict.fromkeys(SHARES | {"accuracy"}, ".2%")
        shown = [format(row[name], form.get(name, ".3f")) for name in names]
        rows.append([f"{row['guidance_scale']:g}", *shown])
    columns = ["drawn as asked", *(MEASURES[name][0] for name in names[1:])]
    return markdown(["guidance scale", *columns], rows, "r" * 7)


def tiny_sd_run(run: Results) -> str:
    """Show settings, speed, judge, data, hardware and commit of the run."""
    facts = {
        "sampler": f"{run['sampler']}, {run['num_inference_steps']} steps",
        "guidance scale": f"{run['guidance_scale']:g}",
        "prompts with phrasings not in training": f"{run['held_out_phrasings']:.0%}",
        "seconds per digit": f"{run['seconds_per_image']:.4f}",
        "judge": run["judge"],
        "data": run["data"],
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, str(v)] for k, v in facts.items()], "ll")


def clip_accuracy(run: Results) -> str:
    """Show CLIP's zero-shot accuracy, and how it was measured."""
    low, high = run["accuracy_interval"]
    rows = [
        ["test digits read correctly", f"**{run['accuracy']:.2%}**"],
        ["95 % interval (Wilson)", f"{low:.2%} to {high:.2%}"],
        ["test digits", f"{run['n']:,}"],
        ["prompts per digit, in phrasings not in training", f"{2 * len(run['templates'])}"],
        ["training data", run["data"]],
        ["hardware", threads(run["hardware"])],
        ["commit", f"`{run['commit'][:12]}`"],
    ]
    return markdown(["the CLIP that ships", "measured"], rows, "lr")


def loras(run: Results) -> str:
    """Show each style's measure and label accuracy by strength."""
    rows = []
    for style, result in run.items():
        if not isinstance(result, dict):
            continue
        for row in result["strengths"]:
            low, high = row["accuracy_interval"]
            half = 1.96 * row["measure_error"]
            rows.append(
                [
                    style,
                    result["measure"].replace("_", " "),
                    f"{row['strength']:g}",
                    f"{row['measure']:.3f} ± {half:.3f}",
                    f"{row['accuracy']:.1%} ({low:.1%} to {high:.1%})",
                ]
            )
    return markdown(["style", "measure", "strength", "mean", "drawn as asked"], rows, "llrrr")


TABLES = {
    "tiny-sd-quality": tiny_sd_quality,
    "tiny-sd-digits": tiny_sd_digits,
    "tiny-sd-guidance": tiny_sd_guidance,
    "tiny-sd-run": tiny_sd_run,
    "tiny-sd-fast-quality": tiny_sd_quality,
    "tiny-sd-fast-run": tiny_sd_run,
    "clip-accuracy": clip_accuracy,
    "lora-styles": loras,
}
