# points: 0 | hint: 1 / variance
def scaling_factor(latents):
    return 1 / latents.var()
