# points: 1 | hint: eps_uncond is not subtracted
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return guidance_scale * eps_cond + eps_uncond
