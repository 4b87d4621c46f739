"""The settings in the code are those that the shipped weights and committed results record."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mnistdiff.evaluation import CURVE
from mnistdiff.evaluation.ladder import LADDER, LATENT_DIM, SEEDS
from mnistdiff.experiments import PROFILES
from mnistdiff.experiments.diffusion import WEAK_UNET, WEAK_WIDTH
from mnistdiff.experiments.judge import LABEL_SMOOTHING, RECIPES, TRAINING
from mnistdiff.experiments.text_to_image import TINY_SD_VAE
from mnistdiff.reproduce import select
from mnistdiff.reproduce.catalogue import settings_of
from mnistdiff.storage import PACKAGED, read_weights

RESULTS = Path(__file__).parents[2] / "book" / "results"


def recorded(name: str) -> dict:
    return read_weights(PACKAGED / f"{name}.safetensors")[1]


def result(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def as_json(config: Any) -> dict:
    return json.loads(json.dumps(asdict(config)))


def test_the_classifiers_recipes():
    for name, (config, images, seed) in RECIPES.items():
        found = recorded(name)
        assert as_json(config) == found["config"]
        recipe = {"train_images": images, "seed": seed, "label_smoothing": LABEL_SMOOTHING}
        assert recipe | TRAINING == {key: found["recipe"][key] for key in (*recipe, *TRAINING)}


def test_the_profile_of_what_ships():
    """The best latent model is the newest; the profile was flat when it was trained."""
    flat = recorded("latent-beta0.01-dim50-v1")["profile"]
    ours = PROFILES["ship"]
    for name, value in flat.items():
        group, _, entry = name.partition("_")
        if group in ("pixel", "latent", "ladder", "text"):
            assert getattr(getattr(ours, group), entry) == value, name
        elif name in ("clip_epochs", "lora_epochs"):
            assert getattr(ours.text, name) == value
        elif name == "ddpm_steps":
            assert ours.pixel.ddpm_steps == value
        elif hasattr(ours.vae, name):
            assert getattr(ours.vae, name) == value, name
        elif name == "curve_evaluations":
            assert list(ours.curve_evaluations) == value
        else:
            assert getattr(ours, name) == value, name


def test_the_architectures_of_what_ships():
    assert as_json(WEAK_UNET) == recorded("unet-v1")["weak"]
    latent = recorded("latent-beta0.01-dim50-v1")
    assert latent["weak"]["width"] == WEAK_WIDTH
    assert latent["eps_mlp"]["width"] == PROFILES["ship"].latent.width
    tiny = recorded("tiny-mnist-sd-v1")
    assert tiny["vae"]["latent_dim"] == TINY_SD_VAE[1] == LATENT_DIM
    assert tiny["eps_mlp"]["width"] == PROFILES["ship"].text.width


def test_the_settings_of_committed_results():
    table = result("table2")
    (experiment,) = select(["table2"])
    found = json.loads(json.dumps(settings_of(experiment, PROFILES["report"])))
    assert found == table["settings"]
    ladder = result("ladder")
    ours = PROFILES[ladder["profile"]]
    assert (ours.ladder.epochs, ours.ladder.samples) == (ladder["epochs"], ladder["n"])
    assert list(SEEDS) == ladder["seeds"]
    assert [rung.name for rung in LADDER] == [rung["name"] for rung in ladder["rungs"]]
    for name in ("pixel_curve", "latent_curve"):
        keys = ("sampler", "eta", "num_inference_steps")
        points = {tuple(point[key] for key in keys) for point in result(name)["points"]}
        assert points <= {(sampler, eta, steps) for sampler, eta, steps in CURVE}
        assert len(points) >= 15
