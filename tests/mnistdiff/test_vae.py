"""The VAE's losses against torch.distributions, its shapes and its error messages."""

import os

import pytest
import torch
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributions import Bernoulli, Normal
from torch.distributions import kl_divergence as torch_kl
from torchvision.transforms import Normalize

from mnistdiff.errors import MnistdiffError
from mnistdiff.storage import (
    check_writable,
    load_into,
    read_weights,
    save_weights,
    write_atomically,
)
from mnistdiff.training import VAELoss
from mnistdiff.vae import VAE, VAEConfig, kl_divergence, vae_loss


@pytest.fixture
def posterior():
    torch.manual_seed(0)
    return torch.randn(6, 5), torch.randn(6, 5)


def test_kl_equals_torch_distributions(posterior):
    mu, logvar = posterior
    oracle = torch_kl(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_divergence(mu, logvar), oracle)


def test_the_encoder_sees_digits_of_mean_0_and_variance_1():
    """Normalised as in torchvision's examples, with MNIST's mean and standard deviation."""
    model = VAE(VAEConfig(392, 8, 1))
    model.encoder = torch.nn.Identity()
    x = torch.rand(2, 1, 28, 28)
    theirs = Normalize((0.1307,), (0.3081,))(x).flatten(1)
    torch.testing.assert_close(torch.cat(model.encode(x), dim=1), theirs)


def test_sizes_have_a_limit():
    assert VAEConfig(width=10_000).width == 10_000
    with pytest.raises(MnistdiffError, match="10001; it must be a whole number from 1 to 10,000"):
        VAEConfig(width=10_001)


def test_loss_has_the_reports_reductions(posterior):
    x, recon = torch.rand(6, 1, 28, 28), torch.rand(6, 1, 28, 28)
    total, squared, kl = vae_loss(recon, x, *posterior, beta=0.5, loss_type="mse")
    torch.testing.assert_close(squared, (recon - x).square().sum((1, 2, 3)).mean())
    torch.testing.assert_close(total, squared + 0.5 * kl)
    binary = (x > 0.5).float()
    _, entropy, _ = vae_loss(recon, binary, *posterior, loss_type="bce")
    torch.testing.assert_close(
        entropy, -Bernoulli(recon).log_prob(binary).sum((1, 2, 3)).mean(), rtol=1e-4, atol=1e-4
    )


def test_reparameterised_latents_have_the_posteriors_moments():
    mu, logvar = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, -1.4]])
    z = VAE.reparameterize(mu, logvar, torch.randn(100_000, 2))
    torch.testing.assert_close(z.mean(0), mu[0], atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(0), (logvar[0] / 2).exp(), atol=0.02, rtol=0)


@pytest.mark.parametrize("latent_dim", [1, 2, 500])
def test_any_latent_dimension(latent_dim):
    model = VAE(VAEConfig(latent_dim, width=16, blocks=1))
    x = torch.rand(3, 1, 28, 28)
    recon, mu, logvar = model(x, torch.zeros(3, latent_dim))
    assert recon.shape == x.shape
    assert 0 < recon.min() <= recon.max() < 1
    assert mu.shape == logvar.shape == (3, latent_dim)
    torch.testing.assert_close(recon, model.decode(mu))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: VAEConfig(latent_dim=0), "latent_dim is 0"),
        (lambda: VAEConfig(latent_dim=2.5), "whole number"),
        (lambda: VAELoss(-1.0, "mse"), "beta is -1.0"),
        (lambda: VAELoss(float("nan"), "mse"), "beta is nan"),
        (lambda: VAELoss(1.0, "l1"), "'l1'"),
        (lambda: VAE(VAEConfig(2, 8, 0)).encode(torch.rand(2, 784)), r"\(2, 784\)"),
        (lambda: VAE(VAEConfig(2, 8, 0)).encode(torch.ones(2, 1, 28, 28).byte()), "are uint8"),
        (lambda: VAE(VAEConfig(2, 8, 0)).decode(torch.rand(2, 3)), r"\(2, 3\)"),
        (lambda: VAE(VAEConfig(2, 8, 0)).decode(torch.rand(2, 2).long()), "are int64"),
    ],
)
def test_bad_input_gets_a_sentence(bad, words):
    with pytest.raises(MnistdiffError, match=words):
        bad()


def test_weights_round_trip_and_refuse_another_architecture(tmp_path):
    path = tmp_path / "vae.safetensors"
    small, other = VAE(VAEConfig(2, 8, 1)), VAE(VAEConfig(2, 8, 1))
    save_weights(path, small.state_dict(), {"note": 1})
    tensors, meta = read_weights(path)
    load_into(other, tensors, path)
    assert meta == {"note": 1}
    assert all(
        torch.equal(a, b) for a, b in zip(small.parameters(), other.parameters(), strict=True)
    )
    with pytest.raises(MnistdiffError, match="another architecture"):
        load_into(VAE(VAEConfig(3, 8, 1)), tensors, path)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_corrupt_weights_get_a_sentence(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(MnistdiffError, match=r"broken\.safetensors"):
        read_weights(path)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_cross_entropy_survives_autocast():
    """On a GPU the loss runs in mixed precision, where torch refuses binary cross-entropy."""
    torch.set_autocast_enabled("cuda", True)
    try:
        with FakeTensorMode():  # shapes and rules of a GPU, without one
            images, code = (torch.empty(2, n, device="cuda") for n in (16, 3))
            total = vae_loss(images, images, code, code, loss_type="bce")[0]
    finally:
        torch.set_autocast_enabled("cuda", False)
    assert total.dtype == torch.float32


@pytest.mark.parametrize("metadata", ["5", "null", "[1, 2]", "{"])
def test_metadata_that_is_no_object_gets_a_sentence(tmp_path, metadata):
    path = tmp_path / "odd.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"mnistdiff": metadata})
    with pytest.raises(MnistdiffError, match=r"odd\.safetensors"):
        read_weights(path)


def test_a_device_or_a_pipe_is_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for write in (check_writable, lambda path: write_atomically(path, b"")):
        with pytest.raises(MnistdiffError, match="not a file"):
            write(pipe)
    assert pipe.is_fifo()
