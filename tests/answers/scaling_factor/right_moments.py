# points: 3 | hint:
def scaling_factor(latents):
    z = latents.double()
    return ((z**2).mean() - z.mean() ** 2) ** -0.5
