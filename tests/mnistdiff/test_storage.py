"""Files of weights: what is broken is named, and no caller changes what the next one gets."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from mnistdiff.diffusion import load_latent_model, load_pixel_model
from mnistdiff.errors import MnistdiffError
from mnistdiff.metrics.classifier import load_judge, load_second_classifier
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.storage import PACKAGED, check_writable, read_weights, save_weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_told_with_file_and_tensor(tmp_path, value):
    path = tmp_path / "w.safetensors"
    weights = {"a.weight": torch.ones(3), "b.bias": torch.tensor([0, value]), "n": torch.ones(1)}
    save_weights(path, weights, {})
    with pytest.raises(MnistdiffError, match=r"w\.safetensors is corrupt, its tensor b\.bias"):
        read_weights(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_finite_numbers_of_any_type_are_read(tmp_path, dtype):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.ones(2, dtype=dtype)}, {"key": 1})
    tensors, metadata = read_weights(path)
    assert tensors["a"].dtype == dtype
    assert metadata["key"] == 1


def test_others_may_read_what_is_saved(tmp_path):
    save_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, {})
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_shipped_models_hold_the_weights_of_their_files():
    for model, file, parts in (
        (load_pixel_model(), "unet-v1", {"unet": "model", "weak": "weak"}),
        (load_latent_model(), "latent-beta0.01-dim50-v1", {"vae": "vae", "eps_mlp": "model"}),
    ):
        tensors = load_file(PACKAGED / f"{file}.safetensors")
        for prefix, name in parts.items():
            held = getattr(model, name).state_dict()
            held = {key.removeprefix("network."): value for key, value in held.items()}
            given = {key for key in tensors if key.startswith(f"{prefix}.")}
            assert given
            for key in given:
                assert torch.equal(held[key.removeprefix(f"{prefix}.")], tensors[key])


def test_whether_a_file_can_be_written_is_found_out_before_the_work(tmp_path):
    path = tmp_path / "a" / "b" / "c.png"
    check_writable(path)
    check_writable(path)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(MnistdiffError, match="it is a folder"):
        check_writable(path.parent)


def test_a_damaged_pipeline_draws_nothing(tmp_path):
    path = tmp_path / "tiny-mnist-sd.safetensors"
    shutil.copy(PACKAGED / "tiny-mnist-sd-v1.safetensors", path)
    with path.open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"\xff" * 8)
    with pytest.raises(MnistdiffError, match="is corrupt, its tensor"):
        TextToImagePipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("load", "network"),
    [
        (load_pixel_model, lambda found: found.model),
        (load_latent_model, lambda found: found.vae),
        (load_latent_model, lambda found: found.weak),
        (load_judge, lambda found: found.classifier),
        (load_second_classifier, lambda found: found),
    ],
)
def test_a_change_of_what_was_loaded_is_the_callers_own(load, network):
    first = network(load())
    before = {name: value.clone() for name, value in first.state_dict().items()}
    modes = [module.training for module in first.modules()]
    mine = network(load()).double().train()
    with torch.no_grad():
        for parameter in mine.parameters():
            parameter.zero_()
    again = network(load())
    assert [module.training for module in again.modules()] == modes
    for name, value in again.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
