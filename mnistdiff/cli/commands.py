"""The `mnistdiff` commands: each takes parsed options and returns one result.

The docstrings are the help texts. Imports inside the functions keep the start fast.
"""

import argparse
from typing import Any

from mnistdiff.errors import MnistdiffError


def doctor(options: argparse.Namespace) -> dict[str, Any]:
    """Check that everything the course needs is installed and your notebooks are intact."""
    from mnistdiff.course.doctor import diagnose

    findings = diagnose(options.folder)
    return {"findings": [f._asdict() for f in findings], "ok": all(f.ok for f in findings)}


def check(options: argparse.Namespace) -> dict[str, Any]:
    """Run the visible tests of a notebook in a fresh kernel."""
    from mnistdiff.course.notebooks import find_notebook
    from mnistdiff.course.self_check import check

    return check(find_notebook(options.notebook, options.folder))


def download(options: argparse.Namespace) -> dict[str, Any]:
    """Download full MNIST."""
    from mnistdiff.data import download

    return {"folder": str(download())}


def info(options: argparse.Namespace) -> dict[str, Any]:
    """Show which MNIST data this machine has: the full set or the bundled digits."""
    from mnistdiff.data import load_mnist

    splits = {split: load_mnist(split, quiet=True) for split in ("train", "test")}
    return {
        split: {"images": len(digits.labels), "source": digits.source}
        for split, digits in splits.items()
    }


def train_vae(options: argparse.Namespace) -> dict[str, Any]:
    """Train a VAE and measure it."""
    from mnistdiff.experiments import fit_vae, get_profile

    names = ("beta", "latent_dim", "loss_type", "epochs", "seed")
    run = fit_vae(get_profile(options.profile), **{name: getattr(options, name) for name in names})
    return run.row


def train_pixel(options: argparse.Namespace) -> dict[str, Any]:
    """Train a U-Net for pixel diffusion."""
    from mnistdiff.experiments import fit_unet, get_profile

    _, fit = fit_unet(get_profile(options.profile), options.seed)
    return {**fit.history[-1], "seconds": fit.seconds, "weights": str(fit.path)}


def train_latent(options: argparse.Namespace) -> dict[str, Any]:
    """Train a VAE and a noise predictor on its latents."""
    from mnistdiff.experiments import fit_latent, get_profile

    profile = get_profile(options.profile)
    fit = fit_latent(profile, options.beta, options.latent_dim, seed=options.seed)[2]
    return {**fit.history[-1], "seconds": fit.seconds, "weights": str(fit.path)}


def train_shipped(options: argparse.Namespace) -> dict[str, Any]:
    """Train the models that ship with the package."""
    from mnistdiff.experiments import get_profile
    from mnistdiff.experiments.shipping import train_shipped
    from mnistdiff.storage import PACKAGED

    if options.profile != "ship" and options.out is None:
        raise MnistdiffError(
            f"profile is {options.profile!r}; only `ship` may replace the package's own weights. "
            "Choose another folder with --out."
        )
    return train_shipped(get_profile(options.profile), options.out or PACKAGED)


def train_classifier(options: argparse.Namespace) -> dict[str, Any]:
    """Train the judge, the classifier behind every quality measure (full MNIST)."""
    from mnistdiff.experiments.judge import train_classifier
    from mnistdiff.storage import PACKAGED, check_writable

    folder = options.out or PACKAGED
    check_writable(folder / f"{options.version}.safetensors")
    return {"weights": str(train_classifier(options.version, folder))}


def eval_judge(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the judge's accuracy, FD floor and sensitivity."""
    from mnistdiff.experiments.judge import evaluate_judge

    return evaluate_judge()


def eval_pixel(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the quality of the shipped U-Net."""
    from mnistdiff.diffusion import load_pixel_model

    return _evaluate_model(load_pixel_model(), options)


def eval_latent(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the quality of a latent model: a shipped one, or one trained with --profile."""
    from mnistdiff.diffusion import BEST_VAE, load_latent_model
    from mnistdiff.experiments import fit_latent, get_profile

    beta = BEST_VAE[0] if options.beta is None else options.beta
    latent_dim = BEST_VAE[1] if options.latent_dim is None else options.latent_dim
    settings = {"beta": beta, "latent_dim": latent_dim, "profile": options.profile or "ship"}
    if not options.profile:
        return settings | _evaluate_model(load_latent_model(beta, latent_dim), options)
    if options.autoguidance not in (None, 1):
        raise MnistdiffError(
            f"--autoguidance is {options.autoguidance:g}, but a model trained with --profile has "
            "no weak copy, which autoguidance needs. Leave out one of the two options."
        )
    profile = get_profile(options.profile)
    model, run, _ = fit_latent(profile, beta, latent_dim)
    return settings | _evaluate_model(model, options, run.row["data"])


def eval_curve(options: argparse.Namespace) -> dict[str, Any]:
    """Measure quality against the number of sampling steps, for every sampler."""
    from mnistdiff.evaluation import quality_curve

    return quality_curve(options.space, options.n, options.seed, options.out)


def _evaluate_model(model: Any, options: argparse.Namespace, data: str = "mnist") -> dict[str, Any]:
    from mnistdiff.diffusion import autoguided
    from mnistdiff.evaluation import evaluate
    from mnistdiff.guidance import AUTOGUIDANCE, GUIDED

    scale = options.autoguidance
    if scale is None:
        scale = AUTOGUIDANCE if model.weak else 1.0
    span = {} if scale == 1 else {"autoguidance_span": list(GUIDED)}
    return (
        {"autoguidance": scale}
        | span
        | evaluate(
            autoguided(model, scale),
            n=options.n,
            seeds=range(options.seeds),
            sampler=options.sampler,
            num_inference_steps=options.steps,
            eta=options.eta,
            data=data,
            save=options.save,
        )
    )


def train_clip(options: argparse.Namespace) -> dict[str, Any]:
    """Train CLIP on digits and prompts."""
    from mnistdiff.experiments import fit_clip, get_profile

    _, fit = fit_clip(get_profile(options.profile), options.seed)
    return {**fit.history[-1], "seconds": fit.seconds, "weights": str(fit.path)}


def train_tiny_sd(options: argparse.Namespace) -> dict[str, Any]:
    """Train the text-to-image model (CLIP, VAE, noise predictor) and measure its digits."""
    from mnistdiff.evaluation.text_to_image import evaluate_tiny_sd
    from mnistdiff.experiments import fit_tiny_sd, get_profile, model_card
    from mnistdiff.pipeline import NAME
    from mnistdiff.storage import check_writable

    profile = get_profile(options.profile)
    if options.out is not None:
        check_writable(options.out / f"{NAME}.safetensors")
    run = fit_tiny_sd(profile, options.seed)
    card = model_card(run, profile)
    if options.out is not None:
        run.pipeline.save_pretrained(options.out, card)
    measured = evaluate_tiny_sd(
        run.pipeline, n=profile.samples // 10 * 10, seeds=(0,), frontier=False
    )
    return {
        **run.fit.history[-1],
        "train_seconds": card["train_seconds"],
        "weights": str(options.out or run.fit.path),
        **measured,
    }


def eval_tiny_sd(options: argparse.Namespace) -> dict[str, Any]:
    """Measure accuracy, quality and diversity of the text-to-image model."""
    from mnistdiff.evaluation.text_to_image import evaluate_tiny_sd
    from mnistdiff.pipeline import TextToImagePipeline

    return evaluate_tiny_sd(
        TextToImagePipeline.from_pretrained(options.model),
        n=options.n,
        seeds=range(options.seeds),
        sampler=options.sampler,
        num_inference_steps=options.steps,
        **_guidance(options),
        frontier=options.frontier,
        save=options.save,
    )


def _guidance(options: argparse.Namespace) -> dict[str, Any]:
    """Return the guidance scale and span that the user set; the others keep their defaults."""
    given = {"guidance_scale": options.guidance, "guidance_span": options.guidance_span}
    return {name: value for name, value in given.items() if value is not None}


def eval_lora(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the effect of each shipped LoRA at several strengths."""
    from mnistdiff.evaluation.text_to_image import evaluate_loras

    return evaluate_loras(n=options.n)


def eval_ladder(options: argparse.Namespace) -> dict[str, Any]:
    """Train and measure the ladder from the report's text-to-image recipe to ours."""
    from mnistdiff.evaluation.ladder import evaluate_ladder
    from mnistdiff.experiments import get_profile
    from mnistdiff.pipeline import TextToImagePipeline

    return evaluate_ladder(get_profile(options.profile), TextToImagePipeline.from_pretrained().clip)


def eval_clip(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the zero-shot accuracy of CLIP on test digits."""
    from mnistdiff.evaluation.text_to_image import evaluate_clip
    from mnistdiff.pipeline import TextToImagePipeline

    pipeline = TextToImagePipeline.from_pretrained(options.model)
    return evaluate_clip(pipeline.clip, pipeline.trained_on)


def reproduce(options: argparse.Namespace) -> dict[str, Any]:
    """Reproduce the report's tables and figures at their own scale; skip what is done."""
    from mnistdiff.reproduce import check_results, list_experiments, reproduce, select

    chosen = select(options.only)
    if options.list:
        return list_experiments(chosen)
    if options.check:
        return check_results(chosen, options.out)
    names = ("profile", "seeds", "out", "workers", "scheduler")
    return reproduce(chosen, **{name: getattr(options, name) for name in names})


def verify(options: argparse.Namespace) -> dict[str, Any]:
    """Check the shipped weights against their recorded hashes and results."""
    from mnistdiff.reproduce.verify import record_weights, verify

    return record_weights() if options.record else verify(options.n)


def sample(options: argparse.Namespace) -> dict[str, Any]:
    """Draw digits for prompts and save one picture, with a row per prompt."""
    import torch

    from mnistdiff.pictures import check_grid, save_grid
    from mnistdiff.pipeline import TextToImagePipeline
    from mnistdiff.storage import check_writable

    check_grid(options.output, len(options.prompt) * options.n, options.scale)
    check_writable(options.output)
    pipeline = TextToImagePipeline.from_pretrained(options.model)
    for name, strength in options.lora:
        pipeline.load_lora_weights(name, strength)
    images = pipeline(
        options.prompt,
        options.negative,
        num_inference_steps=options.steps,
        **_guidance(options),
        eta=options.eta,
        num_images_per_prompt=options.n,
        generator=torch.Generator().manual_seed(options.seed),
        sampler=options.sampler,
    ).images
    save_grid(options.output, images, options.n, options.scale)
    return {"image": str(options.output), "prompts": options.prompt, "seed": options.seed}


def export_web(options: argparse.Namespace) -> dict[str, Any]:
    """Write the text-to-image model as a page that draws in a browser."""
    from mnistdiff.pipeline import NAME, TextToImagePipeline, shipped_loras
    from mnistdiff.web import export_web

    ours = options.model == NAME
    loras = options.lora if options.lora is not None else list(shipped_loras()) if ours else []
    files = export_web(TextToImagePipeline.from_pretrained(options.model), options.folder, loras)
    return {path.name: f"{path.stat().st_size:,} bytes" for path in files}


def comfyui_install(options: argparse.Namespace) -> dict[str, Any]:
    """Link the node pack into a ComfyUI installation, in place of an earlier link or copy."""
    from mnistdiff.comfyui.install import install

    return {"installed": str(install(options.path))}


def comfyui_uninstall(options: argparse.Namespace) -> dict[str, Any]:
    """Remove the node pack from a ComfyUI installation."""
    from mnistdiff.comfyui.install import uninstall

    return {"removed": [str(place) for place in uninstall(options.path)]}


def comfyui_run(options: argparse.Namespace) -> dict[str, Any]:
    """Run a workflow, here or on a ComfyUI server, and save its images."""
    from mnistdiff.comfyui.files import read_workflow
    from mnistdiff.comfyui.server import widget_names
    from mnistdiff.comfyui.workflow import run_workflow
    from mnistdiff.pictures import check_grid, save_grid
    from mnistdiff.storage import check_writable

    check_grid(options.output, 1)
    check_writable(options.output)
    names = {} if options.server is None else {"widgets": widget_names(options.server)}
    workflow = read_workflow(options.workflow, **names)
    images = run_workflow(workflow, server=options.server)
    save_grid(options.output, images, len(images), text=workflow.text_chunks())
    return {"image": str(options.output), "images": len(images)}
