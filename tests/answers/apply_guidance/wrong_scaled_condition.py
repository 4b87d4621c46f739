# points: 0 | hint: eps_uncond has no effect
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return guidance_scale * eps_cond
