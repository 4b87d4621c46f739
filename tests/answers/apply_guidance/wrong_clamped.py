# points: 1 | hint: do not clip
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return (eps_uncond + guidance_scale * (eps_cond - eps_uncond)).clamp(-1, 1)
