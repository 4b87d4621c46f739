# points: 2 | hint: guidance_scale has no effect
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_uncond + min(guidance_scale, 1.0) * (eps_cond - eps_uncond)
