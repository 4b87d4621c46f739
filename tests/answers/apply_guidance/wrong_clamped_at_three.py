# points: 1 | hint: do not clip
# visible: do not clip eps to 3
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return (eps_uncond + guidance_scale * (eps_cond - eps_uncond)).clamp(-3, 3)
