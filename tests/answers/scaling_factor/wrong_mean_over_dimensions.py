# points: 1 | hint: you averaged over the dimensions
def scaling_factor(latents):
    return 1 / latents.std(0).mean()
