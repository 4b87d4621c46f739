"""The `mnistdiff` command line. Errors are printed as sentences, without a traceback."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistdiff.cli import commands
from mnistdiff.errors import MnistdiffError

DESCRIPTION = "Check your notebooks, get MNIST, train and evaluate models, and draw digits."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code.

    0: done, 1: a check failed, 2: an error with a message, 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.save_json:
            _check_result_file(options)
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            result = options.run(options)
        _report(result, options)
    except (MnistdiffError, OSError) as error:
        print(f"mnistdiff: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mnistdiff: interrupted; {options.after_interrupt}", file=sys.stderr)
        return 130
    return 0 if result.get("ok", True) else 1


def _warn(message: Warning | str, *_: Any) -> None:
    print(f"mnistdiff: warning: {message}", file=sys.stderr)


def _report(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the result, and save it if that was asked for."""
    from mnistdiff.results import replace_nonfinite, save_result

    print(json.dumps(replace_nonfinite(result)) if options.json else options.show(result))
    if options.save_json:
        save_result(options.save_json, replace_nonfinite(result))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mnistdiff", description=DESCRIPTION)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_student_side(verbs)
    data = verbs.add_parser("data", help="download MNIST, or show what is here").add_subparsers(
        required=True
    )
    _command(data, "download", commands.download)
    _command(data, "info", commands.info)
    _add_train(verbs.add_parser("train", help="train a model").add_subparsers(required=True))
    _add_eval(verbs.add_parser("eval", help="evaluate a model").add_subparsers(required=True))
    _add_reproduce(verbs)
    _add_sample(verbs)
    _add_export(verbs.add_parser("export", help="write a model").add_subparsers(required=True))
    _add_comfyui(
        verbs.add_parser("comfyui", help="use the models in ComfyUI").add_subparsers(required=True)
    )
    return parser


def _add_student_side(verbs: Any) -> None:
    doctor = _command(verbs, "doctor", commands.doctor)
    doctor.add_argument(
        "folder", type=Path, nargs="?", help="folder of your notebooks (default: here)"
    )
    check = _command(verbs, "check", commands.check)
    check.add_argument("notebook", help="a number such as 03, or a file")
    check.add_argument("--folder", type=Path, help="folder of your notebooks (default: here)")
    doctor.set_defaults(show=_show_doctor)
    check.set_defaults(show=_show_check)


def _add_train(train: Any) -> None:
    vae = _command(train, "vae", commands.train_vae)
    pixel = _command(train, "pixel", commands.train_pixel)
    latent = _command(train, "latent", commands.train_latent)
    clip = _command(train, "clip", commands.train_clip)
    tiny_sd = _command(train, "tiny-sd", commands.train_tiny_sd)
    for command in (vae, pixel, latent, clip, tiny_sd):
        command.add_argument(
            "--profile", default="quick", help="size of the run: smoke, quick (default) or report"
        )
        command.add_argument("--seed", type=_seed, default=0, help="random seed (default 0)")
    for command, latent_dim in ((vae, 100), (latent, 50)):
        command.add_argument(
            "--beta", type=float, default=1.0, help="weight of the KL term, >= 0 (default 1)"
        )
        command.add_argument(
            "--latent-dim",
            type=int,
            default=latent_dim,
            help=f"latent dimension (default {latent_dim})",
        )
    vae.add_argument(
        "--loss", dest="loss_type", default="mse", help="reconstruction loss: mse (default) or bce"
    )
    vae.add_argument("--epochs", type=int, help="number of epochs (default: the profile's)")
    tiny_sd.add_argument(
        "--out", type=Path, help="folder for the pipeline; other commands take it as --model"
    )
    _add_train_shipped(train)


def _add_train_shipped(train: Any) -> None:
    shipped = _command(train, "shipped", commands.train_shipped)
    shipped.add_argument(
        "--profile", default="ship", help="ship (default; needs full MNIST, takes hours)"
    )
    shipped.add_argument("--out", type=Path, help="folder for the weights (default: the package's)")
    judge = _command(train, "judge", commands.train_classifier)
    checks_judge = "Train the second classifier, which checks the judge (full MNIST)."
    second = _command(train, "second", commands.train_classifier, checks_judge)
    for command, version in ((judge, "judge-v1"), (second, "second-v1")):
        command.set_defaults(version=version)
        command.add_argument(
            "--out", type=Path, help="folder for the weights (default: the package's)"
        )


def _add_eval(evaluate: Any) -> None:
    _command(evaluate, "judge", commands.eval_judge)
    _add_eval_generators(evaluate)
    _add_eval_text(evaluate)
    _add_eval_curve(evaluate)


def _add_eval_generators(evaluate: Any) -> None:
    pixel = _command(evaluate, "pixel", commands.eval_pixel)
    latent = _command(evaluate, "latent", commands.eval_latent)
    for command in (pixel, latent):
        _add_protocol(command)
        command.add_argument("--eta", type=float, help="noise of DDIM, from 0 (default) to 1")
        command.add_argument(
            "--autoguidance",
            type=float,
            metavar="SCALE",
            help="autoguidance scale, 1 for none (default: as shipped, with a weak copy)",
        )
    latent.add_argument(
        "--beta", type=float, help="beta of the VAE (default: the best shipped one)"
    )
    latent.add_argument(
        "--latent-dim", type=int, help="latent dimension of the VAE (default: the best one)"
    )
    latent.add_argument(
        "--profile", help="train with this profile instead of loading a shipped model"
    )


def _add_eval_text(evaluate: Any) -> None:
    tiny_sd = _command(evaluate, "tiny-sd", commands.eval_tiny_sd)
    _add_protocol(tiny_sd)
    _add_guidance(tiny_sd)
    tiny_sd.add_argument(
        "--no-frontier",
        dest="frontier",
        action="store_false",
        help="do not measure other guidance scales",
    )
    clip = _command(evaluate, "clip", commands.eval_clip)
    for command in (tiny_sd, clip):
        _add_model(command)
    lora = _command(evaluate, "lora", commands.eval_lora)
    lora.add_argument("--n", type=int, default=2_000, help="digits per strength (default 2,000)")
    ladder = _command(evaluate, "ladder", commands.eval_ladder)
    ladder.add_argument(
        "--profile",
        default="quick",
        help="size of the run: smoke, quick (default) or ship (takes hours)",
    )


def _add_eval_curve(evaluate: Any) -> None:
    curve = _command(evaluate, "curve", commands.eval_curve)
    curve.add_argument(
        "--space", choices=("pixel", "latent"), default="pixel", help="default pixel"
    )
    curve.add_argument("--n", type=int, default=2_000, help="images per point (default 2,000)")
    curve.add_argument("--seed", type=_seed, default=0, help="random seed (default 0)")
    curve.add_argument(
        "--out", type=Path, required=True, help="result file; if it exists, the curve is continued"
    )


def _add_protocol(command: argparse.ArgumentParser) -> None:
    _add_sampler(command)
    command.add_argument("--n", type=int, default=10_000, help="images per seed (default 10,000)")
    command.add_argument(
        "--seeds", type=int, default=3, help="number of sampling seeds (default 3)"
    )
    command.add_argument("--save", type=Path, metavar="FILE.npz", help="save the images of seed 0")


def _add_reproduce(verbs: Any) -> None:
    reproduce = _command(verbs, "reproduce", commands.reproduce)
    reproduce.add_argument(
        "--only", type=_names, metavar="NAMES", help="these experiments only: table2,figure5"
    )
    reproduce.add_argument(
        "--seeds", type=int, help="training seeds of each experiment (default: those it needs)"
    )
    what = reproduce.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show the experiments, and run nothing")
    what.add_argument(
        "--check", action="store_true", help="show what is missing in the results, and run nothing"
    )
    reproduce.add_argument(
        "--workers", type=int, help="processes on this machine (default: one per core)"
    )
    reproduce.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786"
    )
    reproduce.add_argument(
        "--profile", help="size of all runs, such as smoke (default: the report's); needs --out"
    )
    reproduce.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the results (default: book/results)"
    )
    reproduce.set_defaults(show=_show_reproduce)
    verify = _command(verbs, "verify", commands.verify)
    verify.add_argument("--n", type=int, default=1_000, help="digits per model (default 1,000)")
    verify.add_argument(
        "--record", action="store_true", help="write today's hashes to book/results/weights.json"
    )
    verify.set_defaults(show=_show_verify)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _add_sample(verbs: Any) -> None:
    sample = _command(verbs, "sample", commands.sample)
    sample.add_argument(
        "prompt", nargs="+", help="such as 'a handwritten seven'; one row per prompt"
    )
    sample.add_argument("--negative", default="", help="a prompt for what to avoid")
    _add_sampler(sample)
    _add_model(sample)
    _add_guidance(sample)
    sample.add_argument(
        "--eta", type=float, default=0.0, help="noise of DDIM, from 0 (default) to 1"
    )
    sample.add_argument("--n", type=int, default=1, help="digits per prompt (default 1)")
    sample.add_argument("--seed", type=_seed, default=0, help="random seed (default 0)")
    sample.add_argument(
        "--lora", type=_lora, action="append", default=[], metavar="NAME[:STRENGTH]",
        help="a style such as bold:0.8, or a file; repeat to combine several",
    )  # fmt: skip
    sample.add_argument(
        "-o", "--output", type=Path, default=Path("digits.png"), help="default digits.png"
    )
    sample.add_argument(
        "--scale", type=int, default=1, help="pixels per pixel of a digit (default 1)"
    )


def _add_export(export: Any) -> None:
    web = _command(export, "web", commands.export_web)
    web.add_argument("folder", type=Path, help="a folder; open its index.html in a browser")
    _add_model(web)
    web.add_argument(
        "--lora", action="append", metavar="NAME",
        help="a style or a file for a slider; repeat for several (default: all for our model)",
    )  # fmt: skip


def _add_comfyui(comfyui: Any) -> None:
    install = _command(comfyui, "install", commands.comfyui_install)
    install.add_argument("path", type=Path, help="the folder that holds ComfyUI's main.py")
    uninstall = _command(comfyui, "uninstall", commands.comfyui_uninstall)
    uninstall.add_argument("path", type=Path, help="the folder that holds ComfyUI's main.py")
    run = _command(comfyui, "run", commands.comfyui_run)
    run.add_argument(
        "workflow",
        help="a file that ComfyUI saved or exported, or one of ours: basic, lora, span; with the "
        "weights of Stable Diffusion and --server also sd15_basic, sd15_lora, sd15_figure_10b, "
        "sd15_figure_10c, sd15_figure_11, sd15_figure_12_pixel_art, sd15_figure_12_detail, "
        "sd15_figure_12_3d",
    )
    run.add_argument("--server", help="address of a running ComfyUI (default: run here)")
    run.add_argument(
        "-o", "--output", type=Path, default=Path("workflow.png"), help="default workflow.png"
    )


def _add_sampler(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sampler", default="ddim", help="ddim (default), ddpm, dpmpp_2m or heun")
    command.add_argument("--steps", type=int, default=50, help="inference steps (default 50)")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", default="tiny-mnist-sd", help="folder of a pipeline (default: the shipped one)"
    )


def _add_guidance(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--guidance", type=float, help="guidance scale, 1 for none (default: the model's)"
    )
    command.add_argument(
        "--guidance-span",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="guide at these timesteps of 1000 only; 0 1000 for all (default: the model's)",
    )


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 10 or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"{text!r:.40} is not a seed; it must be a whole number from 0 to {2**32 - 1}"
        )
    return int(text)


def _lora(text: str) -> tuple[str, float]:
    name, _, strength = text.rpartition(":")
    try:
        return (name, float(strength)) if name else (text, 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a LoRA; write NAME or NAME:STRENGTH, such as bold:0.8"
        ) from None


def _command(
    group: Any, name: str, run: Any, description: str | None = None
) -> argparse.ArgumentParser:
    """Add a command whose help is the description, by default the docstring of `run`."""
    description = description or run.__doc__
    parser = group.add_parser(name, help=description, description=description)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument(
        "--save-json", type=Path, metavar="FILE", help="also save the result as JSON"
    )
    resumes = run.__name__.startswith("train") or run in (
        commands.eval_curve,
        commands.eval_ladder,
        commands.reproduce,
    )
    after = "run the same command again to continue" if resumes else "nothing was saved"
    parser.set_defaults(run=run, after_interrupt=after, show=_as_text)
    return parser


def _check_result_file(options: argparse.Namespace) -> None:
    """Raise MnistdiffError if the result would replace a file that the command reads or writes."""
    from mnistdiff.storage import check_writable

    check_writable(options.save_json)
    for name in ("output", "save", "out", "workflow", "notebook"):
        value = getattr(options, name, None)
        if value and Path(value).resolve() == options.save_json.resolve():
            raise MnistdiffError(
                f"--save-json is {options.save_json}, which is already this command's {name}; "
                "choose another file."
            )


def _show_doctor(result: dict[str, Any]) -> str:
    from mnistdiff.course.doctor import render

    return render(result)


def _show_check(result: dict[str, Any]) -> str:
    from mnistdiff.course.self_check import render

    return render(result)


def _show_reproduce(result: dict[str, Any]) -> str:
    from mnistdiff.reproduce.check import render_check, render_list

    if "rows" not in result:
        return _as_text(result)
    return render_check(result) if "ok" in result else render_list(result)


def _show_verify(result: dict[str, Any]) -> str:
    from mnistdiff.reproduce.verify import render_verify

    return render_verify(result) if "findings" in result else _as_text(result)


def _as_text(result: dict[str, Any]) -> str:
    return "\n".join(_format_entry(name, value) for name, value in result.items())


def _format_entry(name: str, value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return f"{name}:\n{_format_table(value)}"
    return f"{name}: {_format_value(value)}"


def _format_table(rows: list[dict[str, Any]]) -> str:
    """Return a line for the names of the columns and one for each row."""
    head = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_format_value(row[name]) if name in row else "" for name in head] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *cells])
    return "\n".join(f"  {line}" for line in lines)


def _format_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format_value(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):  # a tuple is an interval
        return (" to " if isinstance(value, tuple) else ", ").join(map(_format_value, value))
    return str(value)
