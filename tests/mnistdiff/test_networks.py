"""The noise predictors: shapes, the time they are told, what the shipped ones weigh."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mnistdiff.clip import CLIP, CLIPConfig
from mnistdiff.errors import MnistdiffError
from mnistdiff.latent import (
    EpsMLP,
    EpsMLPCond,
    EpsMLPCondConfig,
    EpsMLPConfig,
    compute_scaling_factor,
    latent_loss,
)
from mnistdiff.layers import GROUPS, GroupNorm, ResBlock, SelfAttention, timestep_embedding
from mnistdiff.metrics.classifier import DigitClassifier
from mnistdiff.schedules import NoiseSchedule, add_noise, linear_beta_schedule, velocity
from mnistdiff.training import DiffusionLoss, FlowLoss
from mnistdiff.unet import UNet, UNetConfig
from mnistdiff.vae import VAE, VAEConfig

CLIP_CONFIG = CLIPConfig(embed_dim=12, channels=(4, 4, 4), text_width=8, text_layers=1)
SCHEDULE = NoiseSchedule(linear_beta_schedule())


def randomised(network):
    """Networks start as their shortcuts: random weights make every path count."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("network", "shape"),
    [(UNet(UNetConfig((8, 16), 16)), (1, 28, 28)), (EpsMLP(EpsMLPConfig(5, 16, 2, 8)), (5,))],
    ids=["UNet", "EpsMLP"],
)
def test_networks_keep_the_shape_and_depend_on_time_and_input_alone(network, shape):
    network = randomised(network)
    x, t = torch.randn(4, *shape), torch.tensor([0, 10, 500, 999])
    with torch.no_grad():
        out = network(x, t)
        assert out.shape == x.shape
        assert not torch.allclose(out, network(x, t.flip(0)))
        alone = torch.cat([network(x[i : i + 1], t[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(out, alone, atol=1e-5, rtol=1e-4)


def test_clips_similarities_start_at_the_papers_scale_and_stop_at_its_limit():
    clip = CLIP(CLIP_CONFIG)
    assert clip.logit_scale.item() == pytest.approx(1 / 0.07)  # Radford et al., 2021, section 2.4
    with torch.no_grad():
        clip.log_scale.fill_(5.0)
    assert clip.logit_scale.item() == pytest.approx(100)


def test_every_parameter_gets_a_gradient():
    for network, shape in ((UNet(UNetConfig((8, 16), 16)), (1, 28, 28)), (EpsMLP(), (50,))):
        randomised(network)
        network(torch.randn(2, *shape), torch.tensor([3, 700])).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_the_unet_is_small_enough_for_a_laptop():
    with FlopCounterMode(display=False) as counter:
        UNet()(torch.randn(1, 1, 28, 28), torch.tensor([3]))
    assert counter.get_total_flops() < 150e6


def test_blocks_start_as_their_shortcut():
    x, emb = torch.randn(2, 8, 6, 6), torch.randn(2, 4)
    torch.testing.assert_close(ResBlock(8, 8, 4)(x, emb), x)
    torch.testing.assert_close(SelfAttention(8)(x), x)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_group_norm_is_torchs_with_and_without_gradients(layout):
    norm, generator = GroupNorm(16), torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(5, 16, 7, 7, generator=generator).to(memory_format=layout)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(16, generator=generator))
        norm.bias.copy_(torch.randn(16, generator=generator))
        expected = torch.nn.functional.group_norm(x, GROUPS, norm.weight, norm.bias)
        torch.testing.assert_close(norm(x), expected)
        half = norm(x.bfloat16())
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), expected, atol=0.05, rtol=0.02)
    torch.testing.assert_close(norm(x), expected)


def test_group_norm_of_a_mean_far_above_the_spread_is_finite():
    x = 1000 + 1e-3 * torch.randn(2, 16, 7, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert GroupNorm(16)(x).isfinite().all()


def test_attention_does_not_care_where_a_pixel_is():
    block, x = randomised(SelfAttention(8)), torch.randn(1, 8, 3, 3)
    order = torch.randperm(9)
    shuffled = x.flatten(2)[..., order].reshape(x.shape)
    expected = block(x).flatten(2)[..., order].reshape(x.shape)
    torch.testing.assert_close(block(shuffled), expected)


def test_timestep_embedding_is_that_of_diffusers():
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    t = torch.tensor([0, 1, 17, 999])
    theirs = embeddings.get_timestep_embedding(t, 32, flip_sin_to_cos=True, downscale_freq_shift=0)
    torch.testing.assert_close(timestep_embedding(t, 32), theirs)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: UNetConfig((30, 64)), "multiples of 8"),
        (lambda: EpsMLPConfig(latent_dim=0), "latent_dim is 0"),
        (lambda: timestep_embedding(torch.tensor([1]), 7), "dim 7"),
        (lambda: UNet()(torch.zeros(1, 1, 32, 32), torch.tensor([1])), "(1, 1, 32, 32)"),
        (lambda: UNet()(torch.zeros(1, 1, 28, 28).byte(), torch.tensor([1])), "divide grey levels"),
        (lambda: UNet()([[0.0]], torch.tensor([1])), "images are list"),
        (lambda: UNet()(torch.zeros(1, 28, 28), torch.tensor([1])), "(1, 28, 28)"),
        (lambda: EpsMLP()(torch.zeros(1, 49), torch.tensor([1])), "(B, 50)"),
        (lambda: EpsMLP()(torch.zeros(1, 50).long(), torch.tensor([1])), "are int64"),
        (lambda: compute_scaling_factor(torch.ones(4, 2)), "nothing to scale"),
        (lambda: DiffusionLoss(SCHEDULE, "x0"), "'x0'"),
    ],
)
def test_bad_input_is_told_in_words(build, words):
    with pytest.raises(MnistdiffError) as error:
        build()
    assert words in str(error.value)


ROWS = torch.linspace(-1, 1, 24).reshape(2, 12)
PICTURES = torch.linspace(0, 1, 2 * 784).reshape(2, 1, 28, 28)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("build", "call"),
    [
        (lambda: UNet(UNetConfig((8, 8), 8, 8)), lambda n: n(PICTURES, torch.tensor([1, 9]))),
        (lambda: EpsMLP(EpsMLPConfig(12, 16, 1, 8)), lambda n: n(ROWS, torch.tensor([1, 9]))),
        (
            lambda: EpsMLPCond(EpsMLPCondConfig(12, 16, 1, 8, cond_dim=12)),
            lambda n: n(ROWS, torch.tensor([1, 9]), ROWS),
        ),
        (lambda: VAE(VAEConfig(12, 16, 1)), lambda n: n.encode(PICTURES)[0]),
        (lambda: VAE(VAEConfig(12, 16, 1)), lambda n: n.decode(ROWS)),
        (lambda: CLIP(CLIP_CONFIG), lambda n: n.encode_image(PICTURES)),
        (lambda: CLIP(CLIP_CONFIG), lambda n: n.encode_text(["7", "a one"])),
        (DigitClassifier, lambda n: n(PICTURES)),
    ],
)
def test_every_network_computes_in_its_own_type(build, call, dtype):
    network = randomised(build())
    expected = call(network)
    found = call(network.to(dtype))
    assert found.dtype == dtype
    tolerance = {torch.float64: 1e-5, torch.float16: 2e-2, torch.bfloat16: 1e-1}[dtype]
    assert (found.float() - expected).abs().max() <= tolerance * (1 + expected.abs().max())


def test_inputs_of_another_type_are_cast_to_the_networks():
    network = randomised(EpsMLP(EpsMLPConfig(12, 16, 1, 8)))
    t = torch.tensor([1, 9])
    assert torch.equal(network(ROWS.double(), t), network(ROWS, t))


def test_scaled_latents_have_unit_spread():
    latents = torch.randn(1000, 5) * torch.tensor([5.0, 1.0, 0.1, 0.1, 2.0])
    assert (latents * compute_scaling_factor(latents)).std() == pytest.approx(1, abs=1e-5)


class Recorder(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x_t, t):
        self.seen = x_t, t
        return self.answer(x_t)


def test_latent_loss_compares_with_the_noise():
    z0, noise, t = torch.randn(6, 3), torch.randn(6, 3), torch.arange(0, 600, 100)
    model = Recorder(torch.zeros_like)
    loss = latent_loss(model, z0, t, noise, SCHEDULE.alphas_cumprod)
    torch.testing.assert_close(loss, noise.square().mean())
    torch.testing.assert_close(model.seen[0], add_noise(z0, t, noise, SCHEDULE.alphas_cumprod))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_diffusion_loss_wants_noise_or_velocity(prediction):
    model, x0 = Recorder(torch.zeros_like), torch.randn(5, 1, 2, 2)
    generator = torch.Generator().manual_seed(1)
    loss = DiffusionLoss(SCHEDULE, prediction)(model, x0, generator)["total"]
    generator = torch.Generator().manual_seed(1)
    t = (torch.randn(5, generator=generator).sigmoid() * 1000).long()  # logit-normal
    noise = torch.randn(x0.shape, generator=generator)
    v = velocity(x0, t, noise, SCHEDULE.alphas_cumprod)
    wanted = noise if prediction == "epsilon" else v
    torch.testing.assert_close(loss, wanted.square().mean())


def test_flow_loss_is_zero_for_the_exact_flow_of_one_point():
    point = torch.tensor([[0.5, -1.0]])

    def exact(x_t, time):  # on the line to a single point, noise - x0 = (x_t - x0) / time
        return (x_t - point) / (time / 1000)[:, None]

    model = torch.nn.Module()
    model.forward = exact
    generator = torch.Generator().manual_seed(0)
    loss = FlowLoss()(model, point.expand(64, 2), generator)["total"]
    assert loss < 1e-8
