"""The `mnistdiff` command: get data, train, evaluate. Errors are sentences, exit code 2."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistdiff.errors import MnistdiffError


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code (0 done, 2 a user's error, 130 interrupted)."""
    options = _parser().parse_args(arguments)
    try:
        if options.save_json:
            from mnistdiff.weights import check_writable

            check_writable(options.save_json)
        result = options.run(options)
        print(json.dumps(result) if options.json else _readable(result))
        if options.save_json:
            from mnistdiff.experiments import save_result

            save_result(options.save_json, result)
    except (MnistdiffError, OSError) as error:
        print(f"mnistdiff: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mnistdiff: interrupted; {options.again}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mnistdiff", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="data | train | eval")

    data = verbs.add_parser("data", help="full MNIST on this machine").add_subparsers(required=True)
    _command(data, "download", _download, "fetch full MNIST with torchvision")
    _command(data, "info", _info, "say which MNIST `auto` finds")

    train = verbs.add_parser("train", help="train a model").add_subparsers(required=True)
    vae = _command(train, "vae", _train_vae, "train a VAE and measure it")
    vae.add_argument("--profile", default="quick", help="smoke, quick (default) or report")
    vae.add_argument("--beta", type=float, default=1.0, help="weight of the KL term, >= 0")
    vae.add_argument("--latent-dim", type=int, default=100, help="latent dimensions, >= 1")
    vae.add_argument("--loss", dest="loss_type", default="mse", help="mse (default) or bce")
    vae.add_argument("--epochs", type=int, help="instead of the profile's")
    vae.add_argument("--seed", type=_seed, default=0)
    pixel = _command(train, "pixel", _train_pixel, "train a U-Net on digits")
    latent = _command(train, "latent", _train_latent, "train a VAE and diffuse its latents")
    for parser_of in (pixel, latent):
        parser_of.add_argument("--profile", default="quick", help="smoke, quick (default), report")
        parser_of.add_argument("--seed", type=_seed, default=0)
    latent.add_argument("--beta", type=float, default=1.0, help="weight of the KL term, >= 0")
    latent.add_argument("--latent-dim", type=int, default=50, help="latent dimensions, >= 1")
    shipped = _command(
        train, "shipped", _train_shipped, "train the models that the package carries"
    )
    shipped.add_argument("--profile", default="ship", help="ship (default: full MNIST, hours)")
    shipped.add_argument("--out", type=Path, help="folder for the weights (the package's own)")
    for name, version in (("judge", "judge-v1"), ("second", "second-v1")):
        judge = _command(train, name, _train_classifier, f"train the classifier {version}")
        judge.set_defaults(version=version)
        judge.add_argument("--out", type=Path, help="folder for the weights (the package's own)")

    evaluate = verbs.add_parser("eval", help="evaluate a model").add_subparsers(required=True)
    _command(evaluate, "judge", _eval_judge, "accuracy, FD floor and sensitivity of the judge")
    pixel = _command(evaluate, "pixel", _eval_pixel, "quality of the shipped U-Net's samples")
    latent = _command(evaluate, "latent", _eval_latent, "quality of latent diffusion's samples")
    for command in (pixel, latent):
        command.add_argument(
            "--sampler", default="ddim", help="ddim (default), ddpm, dpmpp_2m or heun"
        )
        command.add_argument("--steps", type=int, default=50, help="inference steps (default 50)")
        command.add_argument("--eta", type=float, help="DDIM's noise, 0 (default) to 1")
        command.add_argument("--n", type=int, default=10_000, help="images per seed (10,000)")
        command.add_argument(
            "--seeds", type=int, default=3, help="how many sampling seeds (default 3)"
        )
        command.add_argument("--save", type=Path, metavar="FILE.npz", help="keep seed 0's images")
    curve = _command(evaluate, "curve", _eval_curve, "quality against steps, for every sampler")
    curve.add_argument("--space", choices=("pixel", "latent"), default="pixel")
    curve.add_argument("--n", type=int, default=2_000, help="images per point (2,000)")
    curve.add_argument("--seed", type=_seed, default=0)
    curve.add_argument("--out", type=Path, required=True, help="result file; a later run goes on")
    latent.add_argument("--beta", type=float, help="of a shipped VAE (default: the best one's)")
    latent.add_argument("--latent-dim", type=int, help="of a shipped VAE (default: the best's)")
    latent.add_argument("--profile", help="train in this profile instead of loading what ships")
    return parser


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no seed; it must be a whole number from 0 to {2**32 - 1}"
        )
    return int(text)


def _command(group: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    parser = group.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--save-json", type=Path, metavar="FILE", help="also write it, with commit")
    resumes = run.__name__.startswith("_train") or run is _eval_curve
    again = "the same command goes on from where it was" if resumes else "nothing was kept"
    parser.set_defaults(run=run, again=again)
    return parser


def _download(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.data import download

    return {"folder": str(download())}


def _info(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.data import load_mnist

    splits = {split: load_mnist(split, quiet=True) for split in ("train", "test")}
    return {
        split: {"images": len(digits.labels), "source": digits.source}
        for split, digits in splits.items()
    }


def _train_vae(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.experiments import fit_vae, get_profile

    wanted = ("beta", "latent_dim", "loss_type", "epochs", "seed")
    run = fit_vae(get_profile(options.profile), **{name: getattr(options, name) for name in wanted})
    return run.row


def _train_pixel(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.diffusion import fit_unet
    from mnistdiff.experiments import get_profile

    _, fit = fit_unet(get_profile(options.profile), options.seed)
    return {**fit.history[-1], "seconds": fit.seconds, "weights": str(fit.path)}


def _train_latent(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.diffusion import fit_latent
    from mnistdiff.experiments import get_profile

    profile = get_profile(options.profile)
    fit = fit_latent(profile, options.beta, options.latent_dim, seed=options.seed)[2]
    return {**fit.history[-1], "seconds": fit.seconds, "weights": str(fit.path)}


def _train_shipped(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.experiments import get_profile
    from mnistdiff.release import train_shipped
    from mnistdiff.weights import PACKAGED

    if options.profile != "ship" and options.out is None:
        raise MnistdiffError(
            f"profile is {options.profile!r}: only `ship` may replace the package's own weights. "
            "Name a folder with --out."
        )
    return train_shipped(get_profile(options.profile), options.out or PACKAGED)


def _train_classifier(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.judge import train_classifier
    from mnistdiff.weights import PACKAGED

    return {"weights": str(train_classifier(options.version, options.out or PACKAGED))}


def _eval_judge(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.judge import evaluate_judge

    return evaluate_judge()


def _eval_pixel(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.diffusion import load_pixel_model

    return _evaluate(load_pixel_model(), options)


def _eval_latent(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.diffusion import BEST_VAE, fit_latent, load_latent_model
    from mnistdiff.experiments import get_profile

    beta = BEST_VAE[0] if options.beta is None else options.beta
    latent_dim = BEST_VAE[1] if options.latent_dim is None else options.latent_dim
    about = {"beta": beta, "latent_dim": latent_dim, "profile": options.profile or "ship"}
    if not options.profile:
        return about | _evaluate(load_latent_model(beta, latent_dim), options)
    profile = get_profile(options.profile)
    model, run, _ = fit_latent(profile, beta, latent_dim)
    return about | _evaluate(model, options, run.row["data"])


def _eval_curve(options: argparse.Namespace) -> dict[str, Any]:
    from mnistdiff.evaluation import quality_curve

    return quality_curve(options.space, options.n, options.seed, options.out)


def _evaluate(model: Any, options: argparse.Namespace, data: str = "mnist") -> dict[str, Any]:
    from mnistdiff.evaluation import evaluate

    return evaluate(
        model,
        n=options.n,
        seeds=range(options.seeds),
        sampler=options.sampler,
        num_inference_steps=options.steps,
        eta=options.eta,
        data=data,
        save=options.save,
    )


def _readable(result: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {_rounded(value)}" for name, value in result.items())


def _rounded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_rounded(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return " to ".join(_rounded(entry) for entry in value)
    return str(value)
