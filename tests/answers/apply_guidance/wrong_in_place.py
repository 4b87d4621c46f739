# points: 3 | hint: `eps_cond` was changed in place
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    eps_cond -= eps_uncond
    eps_cond *= guidance_scale
    eps_cond += eps_uncond
    return eps_cond
