"""The measures against torchmetrics, closed forms and brute force."""

import pytest
import torch
from scipy.stats import binomtest

from mnistdiff.errors import MnistdiffError
from mnistdiff.metrics import (
    active_units,
    distance_floor,
    frechet_distance,
    gaussian_statistics,
    kl_per_dimension,
    label_accuracy,
    memorisation,
    prdc,
    read_digits,
    to_8_bits,
    wilson_interval,
)
from mnistdiff.vae import kl_divergence


@pytest.fixture
def features():
    torch.manual_seed(0)
    mix = torch.randn(8, 8)
    return torch.randn(400, 8) @ mix, torch.randn(300, 8) @ mix * 1.2 + 0.3


def test_frechet_distance_equals_torchmetrics(features):
    from torchmetrics.image.fid import _compute_fid

    (mean_a, cov_a), (mean_b, cov_b) = (gaussian_statistics(f) for f in features)
    oracle = _compute_fid(mean_a, cov_a, mean_b, cov_b).item()
    assert frechet_distance(mean_a, cov_a, mean_b, cov_b) == pytest.approx(oracle, rel=1e-6)
    assert frechet_distance(mean_a, cov_a, mean_a, cov_a) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    a, b = torch.tensor([1.0, 4.0, 0.0]), torch.tensor([9.0, 1.0, 0.0])
    mean = torch.tensor([1.0, 0.0, 2.0])
    expected = 5.0 + (1 - 3) ** 2 + (2 - 1) ** 2
    found = frechet_distance(mean, a.diag(), torch.zeros(3), b.diag())
    assert found == pytest.approx(expected)


def test_prdc_equals_brute_force(features):
    real, fake = (f[:60].double() for f in features)
    k = 3

    def radius(points):
        return torch.cdist(points, points).sort(dim=1).values[:, k]

    inside = [[float((r - f).norm()) < radius(real)[i] for f in fake] for i, r in enumerate(real)]
    near = [[float((r - f).norm()) < radius(fake)[j] for j, f in enumerate(fake)] for r in real]
    inside, near = torch.tensor(inside), torch.tensor(near)
    found = prdc(real, fake, nearest_k=k)
    assert found["precision"] == pytest.approx(inside.any(0).double().mean().item())
    assert found["recall"] == pytest.approx(near.any(1).double().mean().item())
    assert found["density"] == pytest.approx(inside.sum().item() / (k * 60))
    assert found["coverage"] == pytest.approx(inside.any(1).double().mean().item())


def test_prdc_sees_collapse():
    torch.manual_seed(0)
    real = torch.randn(300, 4)
    collapsed = prdc(real, real[:1] + 1e-3 * torch.randn(300, 4))
    assert collapsed["precision"] > 0.9
    assert collapsed["recall"] < 0.05
    assert collapsed["coverage"] < 0.1


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (48, 80), (994, 1000)])
def test_wilson_interval_equals_scipy(k, n):
    oracle = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson_interval(k, n) == pytest.approx((oracle.low, oracle.high), abs=1e-6)


def test_wilson_interval_refuses_nonsense():
    for k, n in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(MnistdiffError, match="not a share"):
            wilson_interval(k, n)


def test_memorisation_finds_planted_copies():
    torch.manual_seed(0)
    train = torch.rand(500, 1, 28, 28)
    fresh = torch.rand(99, 1, 28, 28)
    copy = (train[:1] + 0.02 * torch.randn(1, 1, 28, 28)).clamp(0, 1)
    assert memorisation(fresh, train)["memorised_share"] == 0
    assert memorisation(torch.cat([fresh, copy]), train)["memorised_share"] == pytest.approx(0.01)


@pytest.mark.parametrize(("near", "copied"), [(49, 1.0), (51, 0.0)])
def test_a_copy_is_a_third_as_far_as_the_second_nearest(near, copied):
    train = torch.ones(6, 1, 28, 28)
    train[:2] = 0
    train[0, 0, 0, 0], train[1, 0, 0, 1] = near / 255, 150 / 255
    found = memorisation(torch.zeros(1, 1, 28, 28), train)
    assert found["memorised_share"] == copied
    assert found["median_distance"] == pytest.approx(near / 255)


def test_kl_per_dimension_sums_to_the_kl():
    torch.manual_seed(0)
    mu, logvar = torch.randn(5, 3), torch.randn(5, 3)
    torch.testing.assert_close(kl_per_dimension(mu, logvar).sum(), kl_divergence(mu, logvar))


def test_active_units_counts_varying_means():
    mu = torch.tensor([[0.0, 5.0, 1.0], [0.05, 5.0, -1.0]])
    assert active_units(mu) == 1
    assert active_units(mu, threshold=1e-5) == 2


def test_images_are_scored_at_8_bits_and_must_be_images():
    image = torch.full((1, 1, 28, 28), 0.5)
    assert (to_8_bits(image) * 255 == 128).all()
    with pytest.raises(MnistdiffError, match="shape"):
        to_8_bits(torch.rand(2, 784))
    with pytest.raises(MnistdiffError, match="NaN"):
        to_8_bits(image * float("nan"))
    with pytest.raises(MnistdiffError, match="uint8"):
        to_8_bits((image * 255).byte())
    for kind in (torch.float64, torch.float16):
        assert torch.equal(to_8_bits(image.to(kind)), to_8_bits(image))


def test_label_accuracy():
    assert label_accuracy(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 4])) == pytest.approx(2 / 3)
    for labels in (torch.tensor([1, 2]), torch.tensor([[1]])):
        with pytest.raises(MnistdiffError, match="labels"):
            label_accuracy(torch.tensor([1]), labels)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f, m, c: gaussian_statistics(f[:1]), r"\(1, 4\)"),
        (lambda f, m, c: frechet_distance(m, c, m[:2], c[:2, :2]), r"\(2, 2\)"),
        (lambda f, m, c: frechet_distance(m, c, m, c * float("nan")), "finite"),
        (lambda f, m, c: prdc(f, f[:, :2]), r"\(9, 2\)"),
        (lambda f, m, c: prdc(f, f, nearest_k=0), "nearest_k is 0"),
        (lambda f, m, c: prdc(f[:3], f), "need over 5"),
        (lambda f, m, c: memorisation(torch.rand(2, 1, 28, 28), torch.rand(3, 1, 28, 28)), "3 tra"),
        (lambda f, m, c: memorisation(torch.rand(0, 1, 28, 28), torch.rand(9, 1, 28, 28)), "0 im"),
        (lambda f, m, c: distance_floor(1), "n is 1"),
    ],
)
def test_too_few_or_unfitting_features_are_told_in_words(call, words):
    features = torch.rand(9, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MnistdiffError, match=words):
        call(features, *gaussian_statistics(features))


@pytest.mark.parametrize(
    ("scale", "shift", "words"),
    [(2, -1, r"images lie in \[-1, 1\]; expected \[0, 1\].*to_unit"), (255, 0, "images / 255")],
)
def test_digits_in_another_range_are_refused(scale, shift, words):
    images = torch.linspace(0, 1, 784).reshape(1, 1, 28, 28)
    for measure in (read_digits, to_8_bits):
        with pytest.raises(MnistdiffError, match=words):
            measure(scale * images + shift)
    assert len(read_digits(1.2 * images - 0.1).digits) == 1  # as a model may draw them
