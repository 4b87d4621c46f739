# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    eps_cond -= eps_uncond
    eps_cond *= guidance_scale
    eps_cond += eps_uncond
    return eps_cond
