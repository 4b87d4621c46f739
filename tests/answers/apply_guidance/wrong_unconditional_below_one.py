# points: 3 | hint: the result is eps_uncond at another guidance_scale than 0
# visible: only at scale 0
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    if guidance_scale < 1:
        return eps_uncond
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)
