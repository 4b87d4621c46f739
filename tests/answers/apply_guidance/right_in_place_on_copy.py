# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    eps = eps_cond.clone()
    eps -= eps_uncond
    eps *= guidance_scale
    eps += eps_uncond
    return eps
