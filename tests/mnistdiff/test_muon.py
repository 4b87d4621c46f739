"""Muon against PyTorch's own, which multiplies in bfloat16 and takes matrices only."""

import pytest
import torch
from torch import nn

from mnistdiff.latent import EpsMLP, EpsMLPConfig
from mnistdiff.training.muon import Muon, orthogonalise, split_parameters
from mnistdiff.unet import UNet


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (16, 16)])
def test_orthogonalise_keeps_the_directions_and_evens_their_lengths(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    lengths = (left.T @ orthogonalise(matrix) @ right.T).diagonal()
    assert 0.6 < lengths.min() <= lengths.max() < 1.3


@pytest.mark.parametrize("shape", [(48, 16), (16, 48)])
def test_steps_equal_pytorchs(shape):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([ours], 0.1)
    reference = torch.optim.Muon(
        [theirs], lr=0.1, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        reference.step()
    moved, expected = (ours - start).detach(), (theirs - start).detach()
    assert (moved - expected).norm() < 0.02 * expected.norm()  # bfloat16 has 8 bits


def test_a_convolution_is_the_matrix_of_its_outputs():
    generator = torch.Generator().manual_seed(0)
    start, grad = (torch.randn(8, 4, 3, 3, generator=generator) for _ in range(2))
    image, flat = nn.Parameter(start.clone()), nn.Parameter(start.flatten(1))
    image.grad, flat.grad = grad, grad.flatten(1)
    for weight in (image, flat):
        Muon([weight], 0.01).step()
    torch.testing.assert_close(image.flatten(1), flat)


@pytest.mark.parametrize("network", [UNet(), EpsMLP(EpsMLPConfig(5, 16, 2, 8))], ids=["U", "MLP"])
def test_vectors_first_and_last_layer_are_left_to_adam(network):
    hidden, rest = split_parameters(network)
    assert len(hidden) + len(rest) == len(list(network.parameters()))
    assert all(weight.ndim >= 2 for weight in hidden)
    ends = [w for n, w in network.named_parameters() if n.startswith(("stem", "head"))]
    assert not {id(w) for w in ends} & {id(w) for w in hidden}
