# points: 2 | hint: `latents` itself was changed
def scaling_factor(latents: torch.Tensor) -> torch.Tensor:
    latents -= latents.mean()
    return latents.square().mean().rsqrt()
