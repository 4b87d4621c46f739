# points: 1 | hint: you start from eps_cond
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_cond + guidance_scale * (eps_cond - eps_uncond)
