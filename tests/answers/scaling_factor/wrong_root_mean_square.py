# points: 1 | hint: subtract the mean before squaring
def scaling_factor(latents):
    return latents.square().mean().rsqrt()
