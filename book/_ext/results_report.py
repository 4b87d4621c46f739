"""Tables and pictures of the experiments of `mnistdiff reproduce`, beside the report's numbers."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from results_experiments import EXPERIMENTS, row_of
from results_tables import LOSSES, format_seconds, markdown, threads
from results_values import written

from mnistdiff.experiments.student_report import (
    BETA_SWEEP,
    EPOCHS_40_TOTAL,
    EPOCHS_200_TOTAL,
    LATENT_SWEEP,
    TEXT_SHARE,
)
from mnistdiff.metrics import wilson_interval

Results = dict[str, Any]

MISSING = "not measured yet"
FORMS = {  # measure: heading, format
    "recon_accuracy": ("reconstructions read correctly", ".1%"),
    "accuracy": ("drawn as asked", ".1%"),
    "confident_share": ("samples read confidently", ".1%"),
    "fd_ratio": ("FD ratio", ".1f"),
    "precision": ("precision", ".3f"),
    "coverage": ("coverage", ".3f"),
    "recall": ("recall", ".3f"),
    "active_units": ("active units", ".0f"),
    "total": ("total", ".2f"),
    "total_test": ("total, test", ".2f"),
    "seconds_per_image": ("seconds per digit", ".4f"),
}
SHARES = {"confident_share", "accuracy"}  # of the n digits of a row
NAMES = {"beta": "$\\beta$", "latent_dim": "latent dimension", "variant": "latents, weights"}
SYMBOLS = {"beta": "β = {}", "latent_dim": "{} dimensions", "training": "{} training"}
SAMPLERS = {"ddim": "DDIM", "ddpm": "DDPM"}
GRADES = {"poor": 0, "fair": 1, "good": 2}
EYE = {  # what was judged: the measure, and whether more of it is better
    "samples": ("fd_ratio", False),
    "reconstructions": ("recon_accuracy", True),
}


class Picture(NamedTuple):
    """A grid of digits: its file from the results folder, a label and an alternative text."""

    file: str
    label: str
    alt: str


def shown(row: Mapping[str, Any], name: str) -> str:
    """Return a measure of a row, with its 95 % interval if it has one."""
    form = FORMS[name][1]
    interval = row.get(f"{name}_interval")
    if interval is None and name in SHARES and "n" in row:
        interval = wilson_interval(round(row[name] * row["n"]), int(row["n"]))
    spread = f" ({interval[0]:{form}} to {interval[1]:{form}})" if interval else ""
    return f"{row[name]:{form}}{spread}"


def note(result: Results) -> str:
    """Return the sentence under a table that says what its intervals are."""
    seeds = sorted({len(row["seeds"]) for row in result["rows"]})
    if seeds[-1:] > [1]:
        count = " to ".join(map(str, dict.fromkeys([seeds[0], seeds[-1]])))
        return f"\nMeans over {count} training seeds, with 95 % intervals (Student).\n"
    return "\nOne seed. The interval of a share, where there is one, is Wilson's over its digits.\n"


def losses(result: Results, key: str, report: Mapping[Any, Mapping[str, Any]]) -> str:
    """Show the training losses of a sweep over `key` beside the report's."""
    head = [NAMES[key]]
    head += [f"{name}, {who}" for name in LOSSES.values() for who in ("ours", "report")]
    rows = []
    for value, row in sweep(result, key):
        ours = [f"**{loss(row, name)}**" for name in LOSSES] if row else absent(len(LOSSES))
        theirs = [f"{report[value][name]:.2f}" if value in report else "–" for name in LOSSES]
        pairs = zip(ours, theirs, strict=True)
        test = loss(row, "total_test") if row else "–"
        rows.append([written(value), *(cell for pair in pairs for cell in pair), test])
    head.append("total, test")
    return markdown(head, rows, "r" * len(head)) + how_measured(result) + note(result)


def how_measured(result: Results) -> str:
    """Return the sentence that says which weights the losses belong to."""
    if decay := result["settings"].get("vae.ema_decay"):
        weights = f"averaged weights (moving average with decay {decay:g})"
        return f"\nOurs are measured after training, with {weights}; the report did not average.\n"
    return (
        "\nOurs are averaged over the last epoch of training; the test loss is measured after it.\n"
    )


def absent(columns: int) -> list[str]:
    """Return the cells of a row that is not measured yet."""
    return [MISSING, *["–"] * (columns - 1)]


def loss(row: Mapping[str, Any], name: str) -> str:
    """Return a loss with half of its 95 % interval, which keeps the table narrow."""
    interval = row.get(f"{name}_interval")
    return f"{row[name]:.2f}" + (f" ± {interval[1] - row[name]:.2f}" if interval else "")


def sweep(result: Results, key: str) -> Iterable[tuple[Any, Results | None]]:
    """Return each value of `key` with its row, in the catalogue's order."""
    for configuration in EXPERIMENTS[result["experiment"]].configurations:
        yield configuration[key], row_of(result, configuration)


def measured(result: Results, names: Iterable[str]) -> str:
    """Show measures, one row per configuration; columns that never change are left out."""
    names = list(names)
    configurations = EXPERIMENTS[result["experiment"]].configurations
    keys = [k for k in configurations[0] if len({c[k] for c in configurations}) > 1]
    rows = []
    for configuration in configurations:
        row = row_of(result, configuration)
        cells = [shown(row, name) for name in names] if row else absent(len(names))
        rows.append([*(setting(configuration[key]) for key in keys), *cells])
    head = [*(NAMES.get(key, key) for key in keys), *(FORMS[name][0] for name in names)]
    return markdown(head, rows, "l" * len(keys) + "r" * len(names)) + note(result)


def setting(value: Any) -> str:
    """Return a setting as readers write it."""
    return SAMPLERS.get(value, written(value))


def by_eye(result: Results) -> str:
    """Show the report's words of Table 2 beside what was measured, and where the eye was wrong."""
    names = ["confident_share", "fd_ratio", "recon_accuracy", "active_units"]
    heads = [FORMS[name][0] for name in names]
    head = [NAMES["beta"], "samples, by eye", *heads[:2], "reconstructions, by eye", *heads[2:]]
    rows = []
    for beta, row in sweep(result, "beta"):
        words = BETA_SWEEP.get(beta, {"samples": "–", "reconstructions": "–"})
        cells = [shown(row, name) for name in names] if row else absent(len(names))
        rows.append(
            [written(beta), words["samples"], *cells[:2], words["reconstructions"], *cells[2:]]
        )
    return markdown(head, rows, "rlrrlrr") + note(result)


def eye_verdict(result: Results) -> str:
    """Say where the report's eye and the measure order two betas differently."""
    return " ".join(_verdict(result, what) for what in EYE)


def _verdict(result: Results, what: str) -> str:
    name, more_is_better = EYE[what]
    values = {beta: row[name] for beta, row in sweep(result, "beta") if row and beta in BETA_SWEEP}
    grades = {beta: GRADES[BETA_SWEEP[beta][what].split(",")[0]] for beta in values}
    pairs = [
        sorted(pair, key=grades.__getitem__, reverse=True)
        for pair in combinations(values, 2)
        if grades[pair[0]] != grades[pair[1]]
    ]
    wrong = [
        f"{better:g} above {worse:g}"
        for better, worse in pairs
        if (values[better] - values[worse]) * (1 if more_is_better else -1) < 0
    ]
    measure = FORMS[name][0]
    by = measure if measure.startswith("FD") else f"share of {measure}"
    if not pairs:
        return ""
    if not wrong:
        return f"About the {what}, the eye was right: the {by} orders the betas in the same way."
    right = f"{len(pairs) - len(wrong)} of {len(pairs)} pairs"
    return (
        f"About the {what}, the eye was right in {right} of betas with different grades. "
        f"It placed $\\beta$ = {'; '.join(wrong)}, and the {by} says the opposite."
    )


def far_off(result: Results, key: str, report: Mapping[Any, Mapping[str, Any]]) -> str:
    """Say in which rows our total loss is more than 5 % above the report's."""
    ratios = {
        value: row["total"] / report[value]["total"] - 1
        for value, row in sweep(result, key)
        if row and value in report
    }
    above = [f"{value:g} ({ratio:+.0%})" for value, ratio in ratios.items() if ratio > 0.05]
    name = NAMES[key]
    if not above:
        return "In every row our total loss is at most 5 % above the report's, or lower.\n"
    return f"Our total loss is more than 5 % above the report's at {name} = {', '.join(above)}.\n"


def longer_training(result: Results) -> str:
    """Show Figure 2: the report's 40 and 200 epochs beside ours."""
    report = {"normal": EPOCHS_40_TOTAL, "long": EPOCHS_200_TOTAL}
    names = ["total", "total_test", "confident_share", "fd_ratio"]
    rows = []
    for training, row in sweep(result, "training"):
        cells = [shown(row, name) for name in names] if row else absent(len(names))
        epochs = f"{row['epochs']:.0f}" if row else training
        rows.append([epochs, f"{report[training]:.2f}", *cells])
    head = ["epochs", "total, report", *(FORMS[name][0] for name in names)]
    return markdown(head, rows, "r" * len(head)) + note(result)


def text_recipe(result: Results) -> str:
    """Show the report's Figure 7 beside a text-to-image recipe, trained with several seeds."""
    (row,) = result["rows"]
    names = ["accuracy", "confident_share", "fd_ratio", "coverage", "recall"]
    cells = [
        [FORMS[name][0], "nearly " + f"{TEXT_SHARE:.0%}" if name == "accuracy" else "–", value]
        for name in names
        for value in [shown(row, name)]
    ]
    return markdown(["", "report, by eye", "measured"], cells, "lrr") + note(result)


def run(result: Results) -> str:
    """Show settings, seeds, data, time, hardware and commits, folded."""
    experiment = EXPERIMENTS[result["experiment"]]
    report, runs = experiment.report, result["runs"]
    rows = [
        [name.replace("_", " "), written(report[name]) if name in report else "–", written(value)]
        for name, value in result["settings"].items()
    ]
    facts = {
        "seeds": max(len(row["seeds"]) for row in result["rows"]),
        "data": distinct(each.get("data", "mnist") for each in runs),
        "judge": distinct(each["measures"].get("judge", "–") for each in runs),
        "time, all runs": total_time(runs),
        "hardware": distinct(threads(each["hardware"]) for each in runs),
        "commit": distinct(f"`{each['commit'][:12]}`" for each in runs),
    }
    rows += [[name, "–", str(value)] for name, value in facts.items()]
    table = markdown(["setting", "report", "ours"], rows, "lrr")
    return f":::{{dropdown}} How it was measured\n{table}:::\n"


def distinct(values: Iterable[str]) -> str:
    """Return the different values, in order of appearance."""
    return ", ".join(dict.fromkeys(values))


def total_time(runs: Iterable[Results]) -> str:
    """Return the time of all runs."""
    return format_seconds(sum(each.get("seconds", 0) for each in runs))


def pictures(result: Results) -> list[list[Picture]]:
    """Return the grids of the first seed, grouped by configuration."""
    return [
        [_picture(result, each, file) for file in each["pictures"]]
        for each in result["runs"]
        if each["pictures"]
    ]


def _picture(result: Results, each: Results, file: str) -> Picture:
    label = ", ".join(
        SYMBOLS.get(key, "{}").format(setting(value))
        for key, value in each["configuration"].items()
        if len({run["configuration"][key] for run in result["runs"]}) > 1
    )
    kind = file.removesuffix(".png").rpartition("-")[2]
    name = "recon_accuracy" if kind == "reconstructions" else "confident_share"
    heading = "drawn as asked" if "accuracy" in each["measures"] else FORMS[name][0]
    name = "accuracy" if "accuracy" in each["measures"] else name
    value = each["measures"][name]
    what = f"{kind}, {label}" if label else kind
    return Picture(file, what, f"A grid of digits: {what}; {heading}: {value:.1%}.")


def caption(result: Results) -> str:
    """Return the caption of all pictures: what they stand for, seed, profile and commits."""
    experiment, settings = EXPERIMENTS[result["experiment"]], result["settings"]
    made = [each for each in result["runs"] if each["pictures"]]
    commits = ", ".join(dict.fromkeys(each["commit"][:12] for each in made))
    return (
        f"{', '.join(experiment.stands_for)} at full scale: seed {made[0]['seed']}, "
        f"{settings['train_size']:,} training digits, {settings['profile']} profile, "
        f"commit {commits}."
    )


DRAWN = ("confident_share", "fd_ratio", "precision", "coverage")
VAE_MEASURES = ("total_test", "recon_accuracy", "confident_share", "fd_ratio", "active_units")
TABLES = {
    "table2": lambda result: losses(result, "beta", BETA_SWEEP),
    "table2-off": lambda result: far_off(result, "beta", BETA_SWEEP),
    "table2-eye": by_eye,
    "table2-verdict": eye_verdict,
    "table3": lambda result: losses(result, "latent_dim", LATENT_SWEEP),
    "table3-off": lambda result: far_off(result, "latent_dim", LATENT_SWEEP),
    "table3-measured": lambda result: measured(result, VAE_MEASURES),
    "table4": lambda result: measured(result, (*DRAWN, "seconds_per_image")),
    "table5": text_recipe,
    "figure2": longer_training,
    "figure4": lambda result: measured(result, DRAWN),
    "figure5": lambda result: measured(result, DRAWN),
    "figure6": lambda result: measured(result, DRAWN),
    "figure7": text_recipe,
    "ablation": lambda result: measured(result, DRAWN),
    "ladder": lambda result: measured(result, ("accuracy", "fd_ratio", "coverage", "recall")),
    **{
        f"{name}-run": run
        for name in (
            "table2",
            "table3",
            "table4",
            "table5",
            "figure2",
            "figure4",
            "figure5",
            "figure6",
            "figure7",
            "ablation",
            "ladder",
            "pixel-curve",
            "latent-curve",
        )
    },
}
