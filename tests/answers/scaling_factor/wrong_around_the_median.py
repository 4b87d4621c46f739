# points: 1 | hint: not the median
def scaling_factor(latents):
    return 1.0 / (latents - latents.median()).square().mean().sqrt().item()
