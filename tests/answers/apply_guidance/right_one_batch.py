# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    both = torch.cat([eps_uncond, eps_cond])
    u, c = both.chunk(2)
    return torch.add(u, c - u, alpha=guidance_scale)
