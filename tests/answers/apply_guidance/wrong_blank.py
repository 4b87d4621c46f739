# points: 0 | hint: not written yet
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    raise NotImplementedError("fill in this cell")
