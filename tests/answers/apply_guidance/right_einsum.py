# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    w = torch.tensor([1 - guidance_scale, guidance_scale])
    return torch.einsum("k,k...->...", w, torch.stack([eps_uncond, eps_cond]))
