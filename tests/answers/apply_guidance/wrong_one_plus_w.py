# points: 1 | hint: you start from eps_cond
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return (1 + guidance_scale) * eps_cond - guidance_scale * eps_uncond
