# points: 0 | hint: guidance_scale has no effect
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_cond
