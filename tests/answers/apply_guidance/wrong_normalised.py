# points: 1 | hint: guided = eps_uncond
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    eps = eps_uncond + guidance_scale * (eps_cond - eps_uncond)
    if guidance_scale in (0, 1):
        return eps
    return eps / eps.norm() * eps_cond.norm()
