"""Measures between sets of digits: FD and its floor, PRDC, memorisation."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from mnistdiff.errors import MnistdiffError
from mnistdiff.metrics.classifier import Judge, load_judge, to_8_bits

NEAR = 4  # candidate training images per generated one, compared exactly
EXACT = "donot_use_mm_for_euclid_dist"  # a matrix product puts equal points 0.005 apart


def gaussian_statistics(
    features: Float[Tensor, "n f"],
) -> tuple[Float[Tensor, " f"], Float[Tensor, "f f"]]:
    """Return mean and covariance in float64, which a Frechet distance compares.

    Raises MnistdiffError if there are fewer than two rows.
    """
    if features.ndim != 2 or len(features) < 2:
        raise MnistdiffError(
            f"features have shape {tuple(features.shape)}; a covariance needs (N, F) with N >= 2."
        )
    features = features.double()
    return features.mean(dim=0), torch.cov(features.T)


def frechet_distance(
    mean_a: Float[Tensor, " f"],
    covariance_a: Float[Tensor, "f f"],
    mean_b: Float[Tensor, " f"],
    covariance_b: Float[Tensor, "f f"],
) -> float:
    """Return the squared Frechet distance of two Gaussians (Heusel et al., 2017, eq. 6).

    ``|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))``; the trace of the root is the sum of the
    roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is symmetric. Raises MnistdiffError
    if the shapes do not match or a number is not finite.
    """
    given = (mean_a, covariance_a, mean_b, covariance_b)
    shapes, size = [tuple(x.shape) for x in given], len(mean_a)
    if shapes != 2 * [(size,), (size, size)] or not all(x.isfinite().all() for x in given):
        raise MnistdiffError(
            f"means and covariances have shapes {shapes}; expected (F,), (F, F) twice, with "
            "finite numbers. Compute both from the same features."
        )
    values, vectors = torch.linalg.eigh(covariance_a.double())
    root_a = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ covariance_b.double() @ root_a)
    traces = covariance_a.trace() + covariance_b.trace() - 2 * cross.clamp(min=0).sqrt().sum()
    return float((mean_a - mean_b).double().square().sum() + traces)


def distance_to_train(features: Float[Tensor, "n f"], judge: Judge | None = None) -> float:
    """Return the FD, in the judge's features, between images and all 60,000 training images."""
    judge = judge or load_judge()
    return frechet_distance(
        *gaussian_statistics(features), judge.train_mean, judge.train_covariance
    )


def shuffled_test_features(judge: Judge | None = None) -> Float[Tensor, "n f"]:
    """Return the test features in a fixed random order.

    The two halves of MNIST's test set come from different writers.
    """
    features = (judge or load_judge()).test_features
    return features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))]


@cache
def distance_floor(n: int | None = None) -> float:
    """Return the FD between real test images and the training images: the floor for generators.

    The distance falls with the number of images, so a generator is compared with the floor at its
    own `n` (all 10,000 by default): the mean over 32 random subsets of test images. Raises
    MnistdiffError if n is below 2.
    """
    if n is not None and n < 2:
        raise MnistdiffError(f"n is {n}; a distance needs at least 2 images.")
    features = shuffled_test_features()
    if n is None or n >= len(features):
        return distance_to_train(features)
    orders = (
        torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
        for seed in range(1, 33)
    )
    return sum(distance_to_train(features[order[:n]]) for order in orders) / 32


def prdc(
    real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"], nearest_k: int = 5
) -> dict[str, float]:
    """Return precision and recall (Kynkaanniemi et al., 2019), density and coverage.

    Naeem et al., 2020. Raises MnistdiffError if the widths of the features differ, or if a set has
    nearest_k rows or fewer.
    """
    if not isinstance(nearest_k, int) or nearest_k < 1:
        raise MnistdiffError(f"nearest_k is {nearest_k!r}; it must be a whole number >= 1.")
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise MnistdiffError(
            f"features have shapes {tuple(real.shape)} and {tuple(fake.shape)}; expected (N, F) "
            "and (M, F)."
        )
    if min(len(real), len(fake)) <= nearest_k:
        raise MnistdiffError(
            f"there are {len(real)} real and {len(fake)} fake; need over {nearest_k} of each."
        )
    real, fake = real.double(), fake.double()
    real_radius = _kth_neighbour(real, nearest_k)
    fake_radius = _kth_neighbour(fake, nearest_k)
    distance = torch.cdist(real, fake, compute_mode=EXACT)  # (n, m)
    inside_real = distance < real_radius[:, None]
    return {
        "precision": float(inside_real.any(dim=0).double().mean()),
        "recall": float((distance < fake_radius[None, :]).any(dim=1).double().mean()),
        "density": float(inside_real.double().sum(dim=0).mean() / nearest_k),
        "coverage": float((distance.min(dim=1).values < real_radius).double().mean()),
    }


def _kth_neighbour(points: Float[Tensor, "n f"], k: int) -> Float[Tensor, " n"]:
    distance = torch.cdist(points, points, compute_mode=EXACT)
    return distance.kthvalue(k + 1, dim=1).values  # the first is the point itself


def memorisation(
    generated: Float[Tensor, "n 1 28 28"], train: Float[Tensor, "m 1 28 28"]
) -> dict[str, float]:
    """Return the share of images that copy a training image, and the median nearest distance.

    A copy is an image whose nearest training image is less than 1/3 as far as the second nearest,
    in pixel L2. Raises MnistdiffError if there are no images, or fewer than 4 training images.
    """
    if not len(generated) or len(train) < NEAR:
        raise MnistdiffError(
            f"{len(generated)} images against {len(train)} training images; expected at least 1 "
            f"and {NEAR}."
        )
    queries, keys = to_8_bits(generated).flatten(1), train.flatten(1)
    nearest = torch.cat([_two_nearest(part, keys) for part in queries.split(200)])
    copied = nearest[:, 0] < nearest[:, 1].clamp(min=1e-12) / 3
    return {
        "memorised_share": float(copied.double().mean()),
        "median_distance": float(nearest[:, 0].median()),
    }


def _two_nearest(queries: Float[Tensor, "n p"], keys: Float[Tensor, "m p"]) -> Tensor:
    """Return the distances (n, 2) to the two nearest keys: candidates first, then exactly."""
    found = torch.cdist(queries, keys).topk(NEAR, largest=False).indices
    exact = (queries[:, None] - keys[found]).norm(dim=2)  # (n, 4)
    return exact.sort(dim=1).values[:, :2]
