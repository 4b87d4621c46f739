"""Tables of what a real ComfyUI drew with the node pack."""

from typing import Any

from results_tables import markdown

Results = dict[str, Any]


def quality(run: Results) -> str:
    """Its digits, and what its LoRA loader does."""
    low, high = run["accuracy_interval"]
    lora = run["lora"]
    digit, share = min(enumerate(run["per_digit"]), key=lambda item: item[1])
    same = "yes" if lora["identical_at_strength_0"] else "**no**"
    rows = [
        [f"drawn as asked, of {run['n']:,}", f"**{run['accuracy']:.1%}**"],
        ["95 % interval (Wilson)", f"{low:.1%} to {high:.1%}"],
        [f"worst digit, the {digit}", f"{share:.1%}"],
        ["LoRA at strength 0: the very same pictures", same],
        [f"stroke width, mean of {lora['n']}", f"{lora['stroke_width']:.2f} pixels"],
        ["the same with the LoRA `bold` at 1", f"{lora['stroke_width_bold']:.2f} pixels"],
    ]
    return markdown(["the basic workflow in ComfyUI", "measured"], rows, "lr")


def differences(run: Results) -> str:
    """Its pictures beside those of `run_workflow`, by setting."""
    rows = [
        [name, f"{apart['mean']:.2f}", f"{apart['max']:.2f}"]
        for name, apart in run["differences"].items()
    ]
    head = ["grey levels of 255 between ComfyUI and `run_workflow`", "mean", "largest"]
    return markdown(head, rows, "lrr")


def the_run(run: Results) -> str:
    """Name the run behind the numbers."""
    facts = {
        "ComfyUI": f"{run['comfyui']}, torch {run['comfyui_torch']}",
        "judge": run["judge"],
        "hardware": run["hardware"],
        "commit": f"`{run['commit'][:12]}`",
    }
    return markdown(["the run", ""], [[k, str(v)] for k, v in facts.items()], "ll")


TABLES = {
    "comfyui-quality": quality,
    "comfyui-differences": differences,
    "comfyui-run": the_run,
}
