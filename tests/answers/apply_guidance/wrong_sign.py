# points: 1 | hint: the sign is wrong
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_uncond - guidance_scale * (eps_cond - eps_uncond)
