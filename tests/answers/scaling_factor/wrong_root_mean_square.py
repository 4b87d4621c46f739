# points: 1 | hint: the mean must be taken away
def scaling_factor(latents):
    return latents.square().mean().rsqrt()
