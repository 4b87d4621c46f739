"""Schedules against diffusers and against their definition."""

import math

import pytest
import torch

from mnistdiff.errors import MnistdiffError
from mnistdiff.schedules import (
    NoiseSchedule,
    add_noise,
    cosine_beta_schedule,
    linear_beta_schedule,
    predict_x0,
)

diffusers = pytest.importorskip("diffusers")


@pytest.mark.parametrize(
    ("ours", "name"),
    [(linear_beta_schedule, "linear"), (cosine_beta_schedule, "squaredcos_cap_v2")],
)
def test_betas_are_those_of_diffusers(ours, name):
    theirs = diffusers.DDPMScheduler(beta_schedule=name)
    schedule = NoiseSchedule(ours(1000))
    torch.testing.assert_close(schedule.betas, theirs.betas, atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(schedule.alphas_cumprod, theirs.alphas_cumprod, atol=1e-7, rtol=1e-4)


def test_add_noise_equals_diffusers_and_is_undone_by_predict_x0():
    theirs, schedule = diffusers.DDPMScheduler(), NoiseSchedule(linear_beta_schedule())
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(4, 1, 5, 5, generator=generator) for _ in range(2))
    t = torch.tensor([0, 10, 500, 900])
    x_t = add_noise(x0, t, noise, schedule.alphas_cumprod)
    torch.testing.assert_close(x_t, theirs.add_noise(x0, noise, t))
    abar = schedule.alphas_cumprod[t].reshape(4, 1, 1, 1)
    torch.testing.assert_close(predict_x0(x_t, noise, abar), x0, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "betas",
    [
        torch.zeros(3),
        torch.tensor([0.1, 1.0]),
        torch.ones(2, 2) / 2,
        torch.tensor([]),
        torch.tensor([1e-9]),
        torch.tensor([0.1, -0.1]),
        torch.tensor([0.1, math.nan]),
    ],
)
def test_bad_betas_are_told_in_words(betas):
    with pytest.raises(MnistdiffError, match="betas have shape"):
        NoiseSchedule(betas)


def test_a_schedule_needs_a_length():
    with pytest.raises(MnistdiffError, match="num_train_timesteps is 0"):
        linear_beta_schedule(0)


def test_betas_may_be_a_list_or_an_array():
    betas = torch.tensor([0.1, 0.2])
    for given in ([0.1, 0.2], betas.numpy()):
        assert torch.equal(NoiseSchedule(given).alphas_cumprod, NoiseSchedule(betas).alphas_cumprod)
    with pytest.raises(MnistdiffError, match=r"from -0\.1 to 0\.2"):
        NoiseSchedule([0.2, -0.1])
