# points: 2 | hint: s = guidance_scale
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_uncond + min(guidance_scale, 10.0) * (eps_cond - eps_uncond)
