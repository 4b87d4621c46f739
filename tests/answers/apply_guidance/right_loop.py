# points: 4 | hint:
def apply_guidance(eps_uncond, eps_cond, guidance_scale):
    rows = []
    for u, c in zip(eps_uncond, eps_cond):
        rows.append(u - guidance_scale * (u - c))
    return torch.stack(rows)
