# points: 3 | hint: the result is eps_cond at another guidance_scale than 1
# visible: at 0 the result is the unconditional prediction
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    if guidance_scale <= 1:
        return eps_cond
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)
