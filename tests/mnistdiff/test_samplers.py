"""Steps and samplers against diffusers' schedulers, and against a model with known samples."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch

from mnistdiff.errors import MnistdiffError
from mnistdiff.latent import EpsMLP, EpsMLPConfig
from mnistdiff.samplers import (
    as_eps,
    ddim_step,
    ddpm_step,
    inference_timesteps,
    interpolate_noise,
    invert_ddim,
    sample_ddim,
    sample_ddpm,
    sample_dpmpp_2m,
    sample_flow,
    sample_heun,
)
from mnistdiff.schedules import (
    NoiseSchedule,
    add_noise,
    cosine_beta_schedule,
    linear_beta_schedule,
    velocity,
)
from mnistdiff.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers")
LINEAR = NoiseSchedule(linear_beta_schedule(1000))
SHAPE = (3, 1, 4, 4)
MEAN, STD = 0.7, 0.3


def scheduler(kind, **options):
    return kind(trained_betas=LINEAR.betas.numpy(), clip_sample=False, **options)


def gaussian(schedule):
    """The exact noise predictor for data N(MEAN, STD^2)."""

    def model(x_t, t):
        abar = schedule.alphas_cumprod[t][:, None]
        variance = abar * STD**2 + 1 - abar
        return (1 - abar).sqrt() * (x_t - abar.sqrt() * MEAN) / variance

    return model


def draw(seed=0, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 7, 10, 50, 200, 999, 1000])
def test_timesteps_are_those_of_diffusers(steps, spacing):
    theirs = scheduler(diffusers.DDIMScheduler, timestep_spacing=spacing)
    theirs.set_timesteps(steps)
    assert inference_timesteps(1000, steps, spacing) == theirs.timesteps.tolist()


def scaled_linear(num_train_timesteps):
    return torch.linspace(0.00085**0.5, 0.012**0.5, num_train_timesteps) ** 2


SCHEDULES = [
    pytest.param(make, total, steps, id=f"{name}-{total}-{steps}")
    for name, make in (
        ("linear", linear_beta_schedule),
        ("scaled_linear", scaled_linear),
        ("cosine", cosine_beta_schedule),
    )
    for total, steps in ((100, 7), (100, 100), (1000, 10), (1000, 333), (4000, 7), (4000, 50))
]


def both(make, total, kind, prediction, spacing):
    """Return our schedule and diffusers' scheduler of the same betas."""
    schedule = NoiseSchedule(make(total))
    theirs = kind(
        num_train_timesteps=total,
        trained_betas=schedule.betas.numpy(),
        clip_sample=False,
        timestep_spacing=spacing,
        prediction_type=prediction,
    )
    return schedule, theirs


def some(timesteps):
    """Return about thirty of the timesteps, the first and the last among them."""
    return [*timesteps[:: max(len(timesteps) // 30, 1)], timesteps[-1]]


def predicted(prediction, t, abar):
    """Return x_t and what a trained network predicts there: mostly what is true."""
    x0, clean, t = draw(2 * t), draw(2 * t + 1), torch.full((3,), t)
    target = clean if prediction == "epsilon" else velocity(x0, t, clean, abar)
    return add_noise(x0, t, clean, abar), target + 0.1 * draw(int(t[0]) + 7)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("make", "total", "steps"), SCHEDULES)
def test_ddim_step_equals_diffusers(make, total, steps, eta, spacing, prediction):
    schedule, theirs = both(make, total, diffusers.DDIMScheduler, prediction, spacing)
    theirs.set_timesteps(steps)
    abar = schedule.alphas_cumprod
    for t in some(theirs.timesteps.tolist()):
        t_prev = t - total // steps  # diffusers' own, also where linspace keeps another one
        abar_prev = abar[t_prev] if t_prev >= 0 else torch.tensor(1.0)
        x_t, output = predicted(prediction, t, abar)
        noise = draw(t + 9)
        expected = theirs.step(output, t, x_t, eta=eta, variance_noise=noise if eta else None)
        ours = ddim_step(x_t, output, abar[t], abar_prev, eta, noise, prediction)
        assert (ours - expected.prev_sample).abs().max() <= 1e-5, t


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize(("make", "total", "steps"), SCHEDULES)
def test_ddpm_step_equals_diffusers(monkeypatch, make, total, steps, spacing, prediction):
    schedule, theirs = both(make, total, diffusers.DDPMScheduler, prediction, spacing)
    theirs.set_timesteps(steps)
    abar = schedule.alphas_cumprod
    for t in some(theirs.timesteps.tolist()):
        x_t, output = predicted(prediction, t, abar)
        noise = draw(t + 9)
        module = diffusers.schedulers.scheduling_ddpm
        monkeypatch.setattr(module, "randn_tensor", lambda *_, n=noise, **__: n)
        t_prev = int(theirs.previous_timestep(t))
        ours = ddpm_step(x_t, output, t, schedule.betas, abar, noise, t_prev, prediction)
        expected = theirs.step(output, t, x_t).prev_sample
        if t_prev < 0 < t:  # diffusers adds the noise of its smallest variance, 1e-20
            expected = expected - 1e-10 * noise
        assert (ours - expected).abs().max() <= 1e-5, t


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("make", "total", "steps"), SCHEDULES[2::2])
def test_whole_runs_equal_diffusers(make, total, steps, eta, prediction):
    schedule, theirs = both(make, total, diffusers.DDIMScheduler, prediction, "leading")
    theirs.set_timesteps(steps)
    exact = gaussian(schedule)

    def network(x_t, t):
        abar = schedule.alphas_cumprod[t][:, None]
        if prediction == "epsilon":
            return exact(x_t, t)
        variance = abar * STD**2 + 1 - abar  # the mean of v given x_t, without a detour over eps
        return (abar.sqrt() * x_t * (1 - STD**2) - MEAN) * (1 - abar).sqrt() / variance

    x_t, drawn = draw(shape=(5, 2)), torch.Generator().manual_seed(1)
    for t in theirs.timesteps:
        output = network(x_t, t.expand(5))
        x_t = theirs.step(output, t, x_t, eta=eta, generator=drawn).prev_sample
    model = network if prediction == "epsilon" else as_eps(network, schedule)
    ours = sample_ddim(
        model,
        schedule,
        (5, 2),
        eta=eta,
        timesteps=theirs.timesteps,
        noise=draw(shape=(5, 2)),
        generator=torch.Generator().manual_seed(1),
    )
    assert (ours - x_t).abs().max() <= 1e-4


# diffusers hands torch tensors to NumPy in a way that NumPy will refuse one day
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("steps", [1, 5, 20, 50])
def test_dpmpp_2m_equals_diffusers(steps):
    theirs = diffusers.DPMSolverMultistepScheduler(
        trained_betas=LINEAR.betas.tolist(),
        timestep_spacing="trailing",
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(steps)
    model, x_t = gaussian(LINEAR), draw(shape=(3, 5))
    for t in theirs.timesteps:
        x_t = theirs.step(model(x_t, t.expand(3)), t, x_t).prev_sample
    ours = sample_dpmpp_2m(
        model, LINEAR, (3, 5), num_inference_steps=steps, noise=draw(shape=(3, 5))
    )
    # a single step divides by sqrt(abar) = 0.006, and float32's rounding with it
    assert (ours - x_t).abs().max() <= (1e-5 if steps > 1 else 1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("schedule", [LINEAR, NoiseSchedule(cosine_beta_schedule(300))])
def test_sample_ddim_is_a_loop_of_steps(schedule, eta):
    kept = [290, 250, 121, 120, 37, 3]
    generator = torch.Generator().manual_seed(5)
    x_t = torch.randn(2, 5, generator=generator)
    abar = torch.cat([schedule.alphas_cumprod[kept], torch.ones(1)])
    for i, t in enumerate(kept):
        last = i == len(kept) - 1
        noise = torch.randn(2, 5, generator=generator) if eta and not last else torch.zeros(2, 5)
        eps = gaussian(schedule)(x_t, torch.full((2,), t))
        x_t = ddim_step(x_t, eps, abar[i], abar[i + 1], eta, noise)
    generator = torch.Generator().manual_seed(5)
    ours = sample_ddim(
        gaussian(schedule), schedule, (2, 5), timesteps=kept, eta=eta, generator=generator
    )
    torch.testing.assert_close(ours, x_t, atol=2e-5, rtol=1e-4)


def test_ddpm_is_ddim_with_eta_1_on_all_steps():
    schedule = NoiseSchedule(linear_beta_schedule(40, 1e-3, 0.2))
    model, generator = gaussian(schedule), torch.Generator().manual_seed(3)
    x_t = torch.randn(4, 6, generator=generator)
    for t in reversed(range(40)):
        noise = torch.randn(4, 6, generator=generator) if t else torch.zeros(4, 6)
        eps = model(x_t, torch.full((4,), t))
        x_t = ddpm_step(x_t, eps, t, schedule.betas, schedule.alphas_cumprod, noise)
    for sampler, options in (
        (sample_ddpm, {}),
        (sample_ddim, {"eta": 1.0, "num_inference_steps": 40}),
    ):
        ours = sampler(
            model, schedule, (4, 6), generator=torch.Generator().manual_seed(3), **options
        )
        torch.testing.assert_close(ours, x_t, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("schedule", [LINEAR, NoiseSchedule(cosine_beta_schedule(1000))])
@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"),
    [
        (sample_ddim, 1000, 0.01),
        (sample_ddim, 50, 0.06),
        (sample_dpmpp_2m, 50, 0.012),
        (sample_heun, 40, 0.01),
    ],
)
def test_deterministic_samplers_map_noise_to_the_known_gaussian(
    schedule, sampler, steps, tolerance
):
    noise = torch.linspace(-2, 2, 9)[:, None]
    found = sampler(gaussian(schedule), schedule, (9, 1), num_inference_steps=steps, noise=noise)
    assert (found - (MEAN + STD * noise)).abs().max() < tolerance


def test_stochastic_samplers_draw_from_the_known_gaussian():
    for eta in (0.5, 1.0):
        generator = torch.Generator().manual_seed(0)
        found = sample_ddim(
            gaussian(LINEAR),
            LINEAR,
            (20_000, 1),
            num_inference_steps=100,
            eta=eta,
            generator=generator,
        )
        assert abs(found.mean() - MEAN) < 0.01
        assert abs(found.std() - STD) < 0.03


def test_heun_is_of_second_order():
    noise, model = torch.linspace(-2, 2, 9)[:, None], gaussian(LINEAR)
    exact = sample_heun(model, LINEAR, (9, 1), num_inference_steps=1000, noise=noise)
    error = {}
    for steps in (10, 20):
        found = sample_heun(model, LINEAR, (9, 1), num_inference_steps=steps, noise=noise)
        error[steps] = (found - exact).abs().max()
    assert error[10] / error[20] > 3


def test_flow_follows_the_straight_line():
    def flow(x_t, time):  # the exact flow for data N(MEAN, STD^2)
        s = time[:, None] / 1000
        x0 = MEAN + (1 - s) * STD**2 * (x_t - (1 - s) * MEAN) / ((1 - s) ** 2 * STD**2 + s**2)
        return (x_t - x0) / s

    noise = torch.linspace(-2, 2, 9)[:, None]
    found = sample_flow(flow, LINEAR, (9, 1), num_inference_steps=400, noise=noise)
    assert (found - (MEAN + STD * noise)).abs().max() < 0.01


@pytest.mark.parametrize("sampler", [sample_ddim, sample_ddpm, sample_dpmpp_2m, sample_heun])
def test_v_prediction_samples_like_epsilon(sampler):
    class Velocity(torch.nn.Module):
        def forward(self, x_t, t):
            abar = LINEAR.alphas_cumprod[t][:, None]
            eps = gaussian(LINEAR)(x_t, t)
            return (eps - (1 - abar).sqrt() * x_t) / abar.sqrt()

    found, seen = [], []
    for model in (as_eps(Velocity(), LINEAR), gaussian(LINEAR)):
        seen.append([])
        found.append(
            sampler(
                model,
                LINEAR,
                (5, 2),
                num_inference_steps=20,
                noise=draw(shape=(5, 2)),
                generator=torch.Generator().manual_seed(0),
                callback=lambda i, t, x_t, x0_hat: seen[-1].append(x0_hat),
            )
        )
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.stack(seen[0]), torch.stack(seen[1]), atol=1e-4, rtol=1e-4)


def test_inversion_leads_back():
    x0 = MEAN + STD * torch.linspace(-2, 2, 9)[:, None]
    noise = invert_ddim(gaussian(LINEAR), LINEAR, x0, num_inference_steps=500)
    assert (noise - torch.linspace(-2, 2, 9)[:, None]).abs().max() < 0.05
    back = sample_ddim(gaussian(LINEAR), LINEAR, (9, 1), num_inference_steps=500, noise=noise)
    assert (back - x0).abs().max() < 0.02


def test_interpolated_noise_keeps_its_length():
    start, end = draw(1, (100,)), draw(2, (100,))
    path = interpolate_noise(start, end, torch.linspace(0, 1, 5))
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path[-1], end)
    assert (path.norm(dim=1) > 0.9 * min(start.norm(), end.norm())).all()


def test_callback_sees_every_step():
    seen = []
    model = gaussian(LINEAR)
    final = sample_ddim(
        model,
        LINEAR,
        (2, 3),
        num_inference_steps=4,
        callback=lambda *args: seen.append(args),
        generator=torch.Generator().manual_seed(0),
    )
    assert [(i, t) for i, t, _, _ in seen] == [(0, 999), (1, 749), (2, 499), (3, 249)]
    torch.testing.assert_close(seen[-1][3], final)


def test_guidance_runs_between_the_two_predictions():
    def model(x_t, t, cond=None):
        return torch.zeros_like(x_t) if cond is None else cond.expand_as(x_t)

    cond = torch.ones(1)
    noise = draw(shape=(2, 3))
    for scale in (0.0, 1.0, 3.0):
        found = sample_ddim(model, LINEAR, (2, 3), cond=cond, guidance_scale=scale, noise=noise)
        same = sample_ddim(lambda x, t, s=scale: torch.full_like(x, s), LINEAR, (2, 3), noise=noise)
        torch.testing.assert_close(found, same)


def test_outside_its_span_guidance_leaves_the_conditional_network_alone():
    seen = []

    def model(x_t, t, cond=None):
        seen.append((int(t[0]), len(x_t)))
        return 0.1 * x_t if cond is None else 0.1 * x_t + cond

    cond, noise = torch.tensor([[0.5], [1.0]]), draw(shape=(2, 3))
    uncond = torch.zeros(2, 1)
    options = {"cond": cond, "guidance_scale": 3.0, "num_inference_steps": 10, "noise": noise}
    x_t, abar = noise, LINEAR.alphas_cumprod
    timesteps = inference_timesteps(1000, 10)
    for t, t_prev in zip(timesteps, [*timesteps[1:], -1], strict=True):
        scale = 3.0 if 299 <= t < 599 else 1.0
        prev = abar[t_prev] if t_prev >= 0 else torch.tensor(1.0)
        x_t = ddim_step(x_t, 0.1 * x_t + scale * cond, abar[t], prev, 0.0, torch.zeros(2, 3))
    for given in (None, uncond):
        seen.clear()
        found = sample_ddim(
            model, LINEAR, (2, 3), **options, uncond=given, guidance_span=(299, 599)
        )
        torch.testing.assert_close(found, x_t)
        rows = dict.fromkeys(timesteps, 0)
        for t, n in seen:
            rows[t] += n
        assert rows == {t: 4 if 299 <= t < 599 else 2 for t in timesteps}


@pytest.mark.parametrize("sampler", [sample_ddim, sample_dpmpp_2m, sample_heun, sample_flow])
def test_a_span_of_all_timesteps_is_guidance_everywhere(sampler):
    def model(x_t, t, cond=None):
        return 0.1 * x_t if cond is None else 0.1 * x_t + cond

    options = {"cond": torch.ones(1), "num_inference_steps": 6, "noise": draw(shape=(2, 3))}
    everywhere, spanned, nowhere, plain = (
        sampler(model, LINEAR, (2, 3), **options, guidance_scale=scale, guidance_span=span)
        for scale, span in ((3.0, None), (3.0, (0, 1001)), (3.0, (1001, 1002)), (1.0, None))
    )
    assert torch.equal(everywhere, spanned)
    assert torch.equal(nowhere, plain)
    assert not torch.allclose(spanned, plain)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_inference_steps": 1001}, "1000 timesteps of training"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"eta": 1.5}, "eta is 1.5"),
        ({"eta": math.nan}, "eta is nan"),
        ({"timesteps": [5, 5, 1]}, "each smaller"),
        ({"timesteps": [1000, 3]}, "at most 999"),
        ({"timesteps": []}, "timesteps are"),
        ({"spacing": "even"}, "'even'"),
        ({"eta": None}, "eta is None"),
        ({"guidance_scale": 2.0}, "needs a condition"),
        ({"guidance_scale": math.nan}, "guidance_scale is nan"),
        ({"guidance_scale": math.inf, "cond": torch.ones(2, 1)}, "guidance_scale is inf"),
        ({"guidance_span": (500, 200)}, "guidance_span is (500, 200)"),
        ({"guidance_span": (-1, 200)}, "guidance_span is (-1, 200)"),
        ({"guidance_span": (200, math.nan)}, "guidance_span is (200, nan)"),
        ({"guidance_span": (200, "500")}, "(200, '500'); it must be two timesteps"),
        ({"guidance_span": 500}, "guidance_span is 500"),
        ({"guidance_span": (1, 2, 3)}, "guidance_span is (1, 2, 3)"),
        ({"noise": torch.zeros(2, 2)}, "noise has shape (2, 2)"),
    ],
)
def test_bad_options_are_told_in_words(options, words):
    with pytest.raises(MnistdiffError) as error:
        sample_ddim(gaussian(LINEAR), LINEAR, (2, 3), **options)
    assert words in str(error.value)


ALL = [sample_ddim, sample_ddpm, sample_dpmpp_2m, sample_heun, sample_flow]


class TestTypesAndDevices:
    @pytest.fixture(scope="class")
    @classmethod
    def networks(cls):
        torch.manual_seed(0)
        unet, mlp = UNet(UNetConfig((8, 8), 8, 8)), EpsMLP(EpsMLPConfig(6, 16, 1, 8))
        for network in (unet, mlp):
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
        return {(2, 1, 28, 28): unet.eval(), (2, 6): mlp.eval()}

    @pytest.mark.parametrize("sampler", ALL)
    @pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 6)], ids=["pixels", "latents"])
    @pytest.mark.parametrize("as_v", [False, True])
    @pytest.mark.filterwarnings("error")
    def test_the_result_has_the_models_type_and_the_same_picture(
        self, networks, sampler, shape, as_v
    ):
        if sampler is sample_flow and as_v:
            with pytest.raises(MnistdiffError, match="predicts v"):
                sampler(as_eps(networks[shape], LINEAR), LINEAR, shape)
            return
        found = {}
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            network = deepcopy(networks[shape]).to(dtype)
            model = as_eps(network, LINEAR) if as_v else network
            generator = torch.Generator().manual_seed(4)
            found[dtype] = sampler(model, LINEAR, shape, num_inference_steps=7, generator=generator)
            assert found[dtype].dtype == dtype
        expected = found[torch.float64]
        scale = float(expected.abs().max())
        for dtype, tolerance in (
            (torch.float32, 1e-5),
            (torch.float16, 4e-3),
            (torch.bfloat16, 4e-2),
        ):
            assert (found[dtype].double() - expected).abs().max() <= tolerance * scale

    @pytest.mark.parametrize("sampler", ALL)
    def test_a_model_elsewhere_gets_everything_there(self, sampler):
        seen = []

        class Model(torch.nn.Linear):
            def forward(self, x_t, t, cond):
                seen.extend(each.device.type for each in (x_t, t, cond))
                return super().forward(x_t) + cond

        found = sampler(
            Model(3, 3, device="meta"),
            LINEAR,
            (2, 3),
            num_inference_steps=3,
            cond=torch.ones(2, 3),
            uncond=torch.zeros(2, 3),
            guidance_scale=1.0,
        )
        assert found.device.type == "meta"
        assert set(seen) == {"meta"}

    def test_whole_numbers_become_floats(self):
        ones, t, abar = torch.ones(2, 3).long(), [10, 500], LINEAR.alphas_cumprod
        for mix in (add_noise, velocity):
            expected = mix(ones.float(), torch.tensor(t), ones.float(), abar)
            assert torch.equal(mix(ones, t, ones.float(), abar), expected)
        found = sample_ddim(gaussian(LINEAR), LINEAR, (2, 3), num_inference_steps=2, noise=ones)
        assert found.dtype == torch.float32

    @pytest.mark.parametrize("sampler", ALL)
    def test_a_function_gets_the_type_of_its_noise(self, sampler):
        layer = torch.nn.Linear(3, 3).half()
        noise = draw(shape=(2, 3)).half()
        found = sampler(
            lambda x_t, t: layer(x_t), LINEAR, (2, 3), num_inference_steps=3, noise=noise
        )
        assert found.dtype == torch.float16

    def test_the_noise_of_a_function_keeps_its_type(self):
        noise = draw(shape=(2, 3)).double()
        found = sample_ddim(gaussian(LINEAR), LINEAR, (2, 3), num_inference_steps=3, noise=noise)
        assert found.dtype == torch.float64

    @pytest.mark.parametrize("mix", [add_noise, velocity])
    def test_noising_happens_where_the_data_is(self, mix):
        x0, t, abar = draw(shape=(2, 3)), torch.tensor([3, 700]), LINEAR.alphas_cumprod
        there = mix(x0.to("meta"), t, x0.to("meta"), abar)
        assert there.device.type == "meta"
        half = mix(x0.half(), t, x0.half(), abar)
        assert half.dtype == torch.float16
        torch.testing.assert_close(half.float(), mix(x0, t, x0, abar), atol=2e-3, rtol=0)
        double = mix(x0.double(), t, x0.double(), abar.double())
        assert double.dtype == torch.float64


class TestGenerators:
    @pytest.mark.parametrize("eta", [0.0, 1.0])
    def test_of_a_list_each_draws_its_own_image(self, eta):
        def seeds(*values):
            return [torch.Generator().manual_seed(value) for value in values]

        options = {"num_inference_steps": 4, "eta": eta}
        together = sample_ddim(
            gaussian(LINEAR), LINEAR, (3, 2), **options, generator=seeds(5, 6, 7)
        )
        for row, seed in enumerate((5, 6, 7)):
            alone = sample_ddim(gaussian(LINEAR), LINEAR, (1, 2), **options, generator=seeds(seed))
            assert torch.equal(alone[0], together[row])

    def test_their_number_is_checked(self):
        with pytest.raises(MnistdiffError, match="1 generators for 3 images"):
            sample_ddim(gaussian(LINEAR), LINEAR, (3, 2), generator=[torch.Generator()])


@pytest.mark.parametrize("shape", [(0, 3), (), (2.5, 3), (-1, 3)])
@pytest.mark.parametrize("sampler", ALL)
def test_no_images_are_told_in_words(sampler, shape):
    with pytest.raises(MnistdiffError, match="shape is"):
        sampler(gaussian(LINEAR), LINEAR, shape)


def test_another_prediction_type_is_told_in_words():
    x, abar = torch.ones(2, 3), LINEAR.alphas_cumprod
    for call in (
        lambda: ddim_step(x, x, 0.5, 0.9, prediction_type="sample"),
        lambda: ddpm_step(x, x, 5, LINEAR.betas, abar, x, prediction_type="sample"),
    ):
        with pytest.raises(MnistdiffError, match="prediction_type is 'sample'"):
            call()


@pytest.mark.parametrize("sampler", [sample_dpmpp_2m, sample_heun, sample_flow])
def test_deterministic_samplers_refuse_eta(sampler):
    with pytest.raises(MnistdiffError, match="deterministic"):
        sampler(gaussian(LINEAR), LINEAR, (2, 3), eta=0.5)


@pytest.mark.parametrize("sampler", [sample_ddim, sample_dpmpp_2m, sample_heun, sample_flow])
def test_a_model_of_another_shape_is_told_in_words(sampler):
    def narrow(x_t, t):
        return x_t[:, :1]

    wrapped = [] if sampler is sample_flow else [as_eps(_Wrapped(narrow), LINEAR)]
    for model in (narrow, *wrapped):
        with pytest.raises(MnistdiffError, match="returned shape"):
            sampler(model, LINEAR, (2, 3), num_inference_steps=2)
    with pytest.raises(MnistdiffError, match="returned tuple"):
        sampler(lambda x_t, t: (x_t,), LINEAR, (2, 3), num_inference_steps=2)
    with pytest.raises(MnistdiffError, match="returned shape"):
        invert_ddim(narrow, LINEAR, torch.zeros(2, 3), num_inference_steps=2)


class _Wrapped(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x_t, t, cond=None):
        return self.function(x_t, t) if cond is None else self.function(x_t, t) + cond


def test_as_eps_passes_the_condition_on():
    model = as_eps(_Wrapped(lambda x, t: x), LINEAR)
    x, t = torch.ones(2, 3), torch.tensor([0, 999])
    assert not torch.equal(model(x, t), model(x, t, cond=torch.ones(3)))


@pytest.mark.parametrize("sampler", [sample_ddim, sample_dpmpp_2m, sample_heun])
def test_timesteps_may_be_a_tensor_or_an_array(sampler):
    noise = draw(shape=(2, 3))
    runs = [
        sampler(gaussian(LINEAR), LINEAR, (2, 3), timesteps=kept, noise=noise)
        for kept in ([900, 5], torch.tensor([900, 5]), torch.tensor([900, 5]).numpy())
    ]
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, s: ddpm_step(x, x, -1, s.betas, s.alphas_cumprod, x), "t is -1"),
        (lambda x, s: ddpm_step(x, x, 1000, s.betas, s.alphas_cumprod, x), "t is 1000.* <= 999"),
        (lambda x, s: ddpm_step(x, x, 5, s.betas, s.alphas_cumprod, x, t_prev=9), "t_prev 9"),
        (lambda x, s: ddpm_step(x, x, 5, s.betas, s.alphas_cumprod, x, t_prev=5), "t_prev 5"),
        (lambda x, s: ddim_step(x, x, 0.9, 0.5, 1.0, x), "less noisy"),
        (lambda x, s: ddim_step(x, x, 0.5, 0.9, 1.0), "needs noise"),
        (lambda x, s: ddim_step(x, x, 0.5, 1.5, 1.0, x), "abar_prev 1.5"),
        (lambda x, s: ddim_step(x, x, 0.0, 0.5), "abar_t is 0"),
    ],
)
def test_impossible_steps_are_told_in_words(call, words):
    with pytest.raises(MnistdiffError, match=words):
        call(torch.ones(2, 3), LINEAR)


def test_interpolating_between_equal_noises_is_that_noise():
    x = draw(1, (10,))
    path = interpolate_noise(x, x, torch.linspace(0, 1, 3))
    torch.testing.assert_close(path, x.expand(3, -1))


def test_interpolating_from_no_noise_is_a_straight_line():
    path = interpolate_noise(torch.zeros(3), torch.ones(3), torch.linspace(0, 1, 3))
    torch.testing.assert_close(path[:, 0], torch.tensor([0.0, 0.5, 1.0]))


def test_noise_of_float64_is_taken_by_a_network_of_float32():
    network = as_eps(EpsMLP(EpsMLPConfig(3, 8, 1, 4)), LINEAR)
    noise = draw(shape=(2, 3))
    options = {"num_inference_steps": 2}
    found = sample_ddim(network, LINEAR, (2, 3), noise=noise.double(), **options)
    assert torch.equal(found, sample_ddim(network, LINEAR, (2, 3), noise=noise, **options))


def test_steps_may_be_numpys():
    assert inference_timesteps(10, np.int64(2)) == [9, 4]
