# points: 4 | hint:
def apply_guidance(eps_uncond: torch.Tensor, eps_cond: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    uncond, cond = eps_uncond.to(torch.float64), eps_cond.to(torch.float64)
    return cond + (guidance_scale - 1) * (cond - uncond)
