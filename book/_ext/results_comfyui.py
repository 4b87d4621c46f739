"""Tables of the results of a real ComfyUI with the node pack."""

from typing import Any

from results_tables import markdown, threads

Results = dict[str, Any]
GOOD = 0.98  # below this share of right digits the table names the scheduler


def quality(run: Results) -> str:
    """Show the accuracy of its digits and the effect of its LoRA loader."""
    low, high = run["accuracy_interval"]
    lora = run["lora"]
    digit, share = min(enumerate(run["per_digit"]), key=lambda item: item[1])
    same = "yes" if lora["identical_at_strength_0"] else "**no**"
    rows = [
        [f"drawn as asked, of {run['n']:,} digits", f"**{run['accuracy']:.1%}**"],
        ["95 % interval (Wilson)", f"{low:.1%} to {high:.1%}"],
        [f"worst digit ({digit})", f"{share:.1%}"],
        ["LoRA at strength 0 gives identical images", same],
        [f"mean stroke width of {lora['n']} digits", f"{lora['stroke_width']:.2f} pixels"],
        [
            "mean stroke width with the LoRA `bold` at strength 1",
            f"{lora['stroke_width_bold']:.2f} pixels",
        ],
    ]
    return markdown(["the basic workflow in ComfyUI", "measured"], rows, "lr")


def differences(run: Results) -> str:
    """Show the differences of its images from those of `run_workflow`, by setting."""
    rows = [
        [name, f"{difference['mean']:.2f}", f"{difference['max']:.2f}"]
        for name, difference in run["differences"].items()
    ]
    head = ["difference of ComfyUI and `run_workflow`, in grey levels (of 255)", "mean", "largest"]
    return markdown(head, rows, "lrr")


def samplers(run: Results) -> str:
    """Show, by sampler, the lowest share of right digits over the schedulers, for each setting."""
    rows = []
    for sampler in next(iter(run["right"].values())):
        cells = []
        for found in run["right"].values():
            scheduler, right = min(found[sampler].items(), key=lambda item: item[1])
            good = right >= GOOD * run["n"]
            cells.append(f"{right / run['n']:.0%}" + ("" if good else f" (`{scheduler}`)"))
        rows.append([f"`{sampler}`", *cells])
    head = ["sampler; its worst scheduler", *run["right"]]
    return markdown(head, rows, "l" + "r" * len(run["right"]))


def samplers_run(run: Results) -> str:
    """Show the versions, the hardware and the commit of the run over all samplers."""
    facts = {
        "ComfyUI": f"{run['comfyui']}, torch {run['torch']}",
        "digits per sampler and scheduler": f"{run['n']}",
        "judge": run["judge"],
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, v] for k, v in facts.items()], "ll")


def provenance(run: Results) -> str:
    """Show versions, judge, hardware and commit of the run."""
    facts = {
        "ComfyUI": f"{run['comfyui']}, torch {run['comfyui_torch']}",
        "judge": run["judge"],
        "hardware": threads(run["hardware"]),
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, str(v)] for k, v in facts.items()], "ll")


TABLES = {
    "comfyui-quality": quality,
    "comfyui-differences": differences,
    "comfyui-run": provenance,
    "comfyui-samplers": samplers,
    "comfyui-samplers-run": samplers_run,
}
