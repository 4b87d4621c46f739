# points: 1 | hint: a mean size is no standard deviation
def scaling_factor(latents):
    return 1 / latents.abs().mean()
