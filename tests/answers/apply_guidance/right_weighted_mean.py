# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return (1 - guidance_scale) * eps_uncond + guidance_scale * eps_cond
