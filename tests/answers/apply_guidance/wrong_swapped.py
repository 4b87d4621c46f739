# points: 1 | hint: the two predictions are swapped
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_cond + guidance_scale * (eps_uncond - eps_cond)
