# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return torch.lerp(eps_uncond, eps_cond, guidance_scale)
