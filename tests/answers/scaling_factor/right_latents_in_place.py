# points: 3 | hint:
def scaling_factor(latents: torch.Tensor) -> torch.Tensor:
    latents -= latents.mean()
    return latents.square().mean().rsqrt()
