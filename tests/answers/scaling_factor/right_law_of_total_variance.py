# points: 3 | hint:
def scaling_factor(latents):
    within = latents.var(dim=0, unbiased=False).mean()
    between = latents.mean(dim=0).var(unbiased=False)
    return (within + between) ** -0.5
