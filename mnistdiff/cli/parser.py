"""The `mnistdiff` command: check, get data, train, evaluate, draw. Errors are sentences."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistdiff.cli import commands
from mnistdiff.errors import MnistdiffError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 something is to be done, 2 a user's error, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        if options.save_json:
            _check_result_file(options)
        result = options.run(options)
        print(json.dumps(_finite(result)) if options.json else options.show(result))
        if options.save_json:
            from mnistdiff.results import save_result

            save_result(options.save_json, _finite(result))
    except (MnistdiffError, OSError) as error:
        print(f"mnistdiff: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mnistdiff: interrupted; {options.again}", file=sys.stderr)
        return 130
    return 0 if result.get("ok", True) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mnistdiff", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_student_side(verbs)
    data = verbs.add_parser("data", help="full MNIST on this machine").add_subparsers(required=True)
    _command(data, "download", commands.download)
    _command(data, "info", commands.info)
    _add_train(verbs.add_parser("train", help="train a model").add_subparsers(required=True))
    _add_eval(verbs.add_parser("eval", help="evaluate a model").add_subparsers(required=True))
    _add_sample(verbs)
    _add_comfyui(verbs.add_parser("comfyui", help="the node pack").add_subparsers(required=True))
    return parser


def _add_student_side(verbs: Any) -> None:
    doctor = _command(verbs, "doctor", commands.doctor)
    doctor.add_argument("folder", type=Path, nargs="?", help="of your notebooks (default: here)")
    check = _command(verbs, "check", commands.check)
    check.add_argument("notebook", help="its number, such as 03, or its file")
    check.add_argument("--folder", type=Path, help="of your notebooks (default: here)")
    doctor.set_defaults(show=_show_doctor)
    check.set_defaults(show=_show_check)


def _add_train(train: Any) -> None:
    vae = _command(train, "vae", commands.train_vae)
    pixel = _command(train, "pixel", commands.train_pixel)
    latent = _command(train, "latent", commands.train_latent)
    clip = _command(train, "clip", commands.train_clip)
    tiny_sd = _command(train, "tiny-sd", commands.train_tiny_sd)
    for command in (vae, pixel, latent, clip, tiny_sd):
        command.add_argument("--profile", default="quick", help="smoke, quick (default) or report")
        command.add_argument("--seed", type=_seed, default=0)
    for command, latent_dim in ((vae, 100), (latent, 50)):
        command.add_argument("--beta", type=float, default=1.0, help="weight of the KL term, >= 0")
        command.add_argument(
            "--latent-dim", type=int, default=latent_dim, help=f"default {latent_dim}"
        )
    vae.add_argument("--loss", dest="loss_type", default="mse", help="mse (default) or bce")
    vae.add_argument("--epochs", type=int, help="instead of the profile's")
    tiny_sd.add_argument("--out", type=Path, help="folder for the pipeline, for --model")
    shipped = _command(train, "shipped", commands.train_shipped)
    shipped.add_argument("--profile", default="ship", help="ship (default: full MNIST, hours)")
    shipped.add_argument("--out", type=Path, help="folder for the weights (the package's own)")
    for name, version in (("judge", "judge-v1"), ("second", "second-v1")):
        judge = _command(train, name, commands.train_classifier)
        judge.set_defaults(version=version)
        judge.add_argument("--out", type=Path, help="folder for the weights (the package's own)")


def _add_eval(evaluate: Any) -> None:
    _command(evaluate, "judge", commands.eval_judge)
    pixel = _command(evaluate, "pixel", commands.eval_pixel)
    latent = _command(evaluate, "latent", commands.eval_latent)
    tiny_sd = _command(evaluate, "tiny-sd", commands.eval_tiny_sd)
    for command in (pixel, latent, tiny_sd):
        _add_sampler(command)
        command.add_argument("--n", type=int, default=10_000, help="images per seed (10,000)")
        command.add_argument("--seeds", type=int, default=3, help="sampling seeds (default 3)")
        command.add_argument("--save", type=Path, metavar="FILE.npz", help="keep seed 0's images")
    for command in (pixel, latent):
        command.add_argument("--eta", type=float, help="DDIM's noise, 0 (default) to 1")
        command.add_argument(
            "--autoguidance",
            type=float,
            metavar="SCALE",
            help="push away from the weak copy that ships (1: not at all; default 2.25 with one)",
        )
    latent.add_argument("--beta", type=float, help="of a shipped VAE (default: the best one's)")
    latent.add_argument("--latent-dim", type=int, help="of a shipped VAE (default: the best's)")
    latent.add_argument("--profile", help="train in this profile instead of loading what ships")
    _add_guidance(tiny_sd)
    tiny_sd.add_argument(
        "--no-frontier", dest="frontier", action="store_false", help="only this guidance scale"
    )
    clip = _command(evaluate, "clip", commands.eval_clip)
    for command in (tiny_sd, clip):
        _add_model(command)
    lora = _command(evaluate, "lora", commands.eval_lora)
    lora.add_argument("--n", type=int, default=2_000, help="digits per strength (2,000)")
    ladder = _command(evaluate, "ladder", commands.eval_ladder)
    ladder.add_argument("--profile", default="quick", help="smoke, quick (default) or ship (hours)")
    curve = _command(evaluate, "curve", commands.eval_curve)
    curve.add_argument("--space", choices=("pixel", "latent"), default="pixel")
    curve.add_argument("--n", type=int, default=2_000, help="images per point (2,000)")
    curve.add_argument("--seed", type=_seed, default=0)
    curve.add_argument("--out", type=Path, required=True, help="result file; a later run goes on")


def _add_sample(verbs: Any) -> None:
    sample = _command(verbs, "sample", commands.sample)
    sample.add_argument("prompt", nargs="+", help="such as 'a handwritten seven'; several: a grid")
    sample.add_argument("--negative", default="", help="a prompt for what it must not be")
    _add_sampler(sample)
    _add_model(sample)
    _add_guidance(sample)
    sample.add_argument("--eta", type=float, default=0.0, help="DDIM's noise, 0 (default) to 1")
    sample.add_argument("--n", type=int, default=1, help="digits per prompt (default 1)")
    sample.add_argument("--seed", type=_seed, default=0)
    sample.add_argument(
        "--lora", type=_lora, action="append", default=[], metavar="NAME[:STRENGTH]",
        help="a style, such as bold:0.8, or a file; repeat to combine",
    )  # fmt: skip
    sample.add_argument("-o", "--output", type=Path, default=Path("digits.png"))
    sample.add_argument("--scale", type=int, default=1, help="enlarge each pixel (default 1)")


def _add_comfyui(comfyui: Any) -> None:
    install = _command(comfyui, "install", commands.comfyui_install)
    install.add_argument("path", type=Path, help="the folder that holds ComfyUI's main.py")
    run = _command(comfyui, "run", commands.comfyui_run)
    run.add_argument("workflow", help="an API-format file, or basic or lora")
    run.add_argument("--server", help="address of a running ComfyUI (default: run here)")
    run.add_argument("-o", "--output", type=Path, default=Path("workflow.png"))


def _add_sampler(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sampler", default="ddim", help="ddim (default), ddpm, dpmpp_2m or heun")
    command.add_argument("--steps", type=int, default=50, help="inference steps (default 50)")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", default="tiny-mnist-sd", help="folder of another pipeline (default: the shipped)"
    )


def _add_guidance(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--guidance", type=float, help="guidance scale, 1 is none (default: the model's)"
    )


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 10 or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"{text!r:.40} is no seed; it must be a whole number from 0 to {2**32 - 1}"
        )
    return int(text)


def _lora(text: str) -> tuple[str, float]:
    name, _, strength = text.rpartition(":")
    try:
        return (name, float(strength)) if name else (text, 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no LoRA; write NAME or NAME:STRENGTH, such as bold:0.8"
        ) from None


def _command(group: Any, name: str, run: Any) -> argparse.ArgumentParser:
    parser = group.add_parser(name, help=run.__doc__, description=run.__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--save-json", type=Path, metavar="FILE", help="also write it, with commit")
    resumes = run.__name__.startswith("train") or run in (commands.eval_curve, commands.eval_ladder)
    again = "the same command goes on from where it was" if resumes else "nothing was kept"
    parser.set_defaults(run=run, again=again, show=_readable)
    return parser


def _check_result_file(options: argparse.Namespace) -> None:
    """A result may replace an older result, never what the command itself reads or writes."""
    from mnistdiff.storage import check_writable

    check_writable(options.save_json)
    for name in ("output", "save", "out", "workflow", "notebook"):
        value = getattr(options, name, None)
        if value and Path(value).resolve() == options.save_json.resolve():
            raise MnistdiffError(
                f"--save-json is {options.save_json}, which is this command's {name} already; "
                "choose another file."
            )


def _finite(value: Any) -> Any:
    """JSON has neither infinity nor NaN: null stands for both."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _show_doctor(result: dict[str, Any]) -> str:
    from mnistdiff.course.doctor import render

    return render(result)


def _show_check(result: dict[str, Any]) -> str:
    from mnistdiff.course.self_check import render

    return render(result)


def _readable(result: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {_rounded(value)}" for name, value in result.items())


def _rounded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_rounded(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):  # an interval, or several of something
        return (" to " if isinstance(value, tuple) else ", ").join(map(_rounded, value))
    return str(value)
