# points: 0 | hint: the factor is 1 / std: take the standard deviation
def scaling_factor(latents):
    return 1 / latents.std().clamp(min=1.0)
