"""The VAE runs: what a row's losses are measured with."""

from dataclasses import replace

import pytest
import torch

from mnistdiff.experiments import fit_vae, load_digits
from mnistdiff.reproduce.catalogue import find_profile
from mnistdiff.vae import kl_divergence


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_row_holds_the_losses_of_the_final_weights(ema_decay):
    smoke = find_profile("smoke")
    profile = replace(smoke, vae=replace(smoke.vae, ema_decay=ema_decay))
    run = fit_vae(profile, beta=0.5, latent_dim=3)
    images = load_digits(profile, quiet=True)[0].images
    with torch.no_grad():
        kl = float(kl_divergence(*run.model.encode(images)))  # it needs no latent draw
    assert run.row["kl"] == pytest.approx(kl, rel=1e-5)
    assert run.row["kl"] != pytest.approx(run.history[-1]["kl"], rel=1e-3)
    assert run.row["total"] == pytest.approx(run.row["recon"] + 0.5 * kl, rel=1e-5)
    again = fit_vae(profile, beta=0.5, latent_dim=3)
    assert again.row == run.row, "the cached run says the same"


def test_weights_are_averaged_only_if_the_profile_says_so():
    smoke = find_profile("smoke")
    averaged = replace(smoke, vae=replace(smoke.vae, ema_decay=0.9))
    last, mean = (fit_vae(profile, latent_dim=3).model for profile in (smoke, averaged))
    weights = [next(model.parameters()) for model in (last, mean)]
    assert not torch.equal(*weights)
    assert find_profile("report").vae.ema_decay
    assert find_profile("ship").vae.ema_decay is None
