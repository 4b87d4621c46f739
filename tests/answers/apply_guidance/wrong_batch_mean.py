# points: 0 | hint: no mean over the batch
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond).mean(0, keepdim=True)
