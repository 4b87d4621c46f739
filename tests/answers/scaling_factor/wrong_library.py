# points: 0 | hint: is sealed while this cell is checked
from mnistdiff.latent import compute_scaling_factor


def scaling_factor(latents):
    return compute_scaling_factor(latents)
