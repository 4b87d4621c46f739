# points: 0 | hint: two calls with the same arguments give different results
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    guided = eps_uncond + guidance_scale * (eps_cond - eps_uncond)
    return guided + 0.01 * torch.randn_like(guided)
